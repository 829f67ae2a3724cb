"""Top-k accuracies, per-class accuracy and the confusion matrix."""

import math

import pytest
import torch

from tc_clip_pl.evaluation import metrics as metrics_module
from tc_clip_pl.evaluation.metrics import LogLoss, build_metrics, compute_metrics, per_class_accuracy


def _plain_metrics(scores, labels):
    """Count correct answers one clip at a time."""
    top1 = top5 = clips = 0
    for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
        if label == -1:
            continue
        ranking = sorted(range(len(row)), key=lambda c: -row[c])
        clips += 1
        top1 += label == ranking[0]
        top5 += label in ranking[:5]
    return clips, top1 / clips, top5 / clips


@pytest.mark.parametrize("num_classes", [2, 3, 5, 12])
def test_matches_a_plain_count_over_batches_with_padding(num_classes):
    torch.manual_seed(num_classes)
    scores, labels = torch.rand(47, num_classes), torch.randint(-1, num_classes, (47,))
    metrics = build_metrics(num_classes)
    for start in range(0, 47, 10):
        metrics.update(scores[start : start + 10], labels[start : start + 10])
    values = compute_metrics(metrics)
    clips, top1, top5 = _plain_metrics(scores, labels)
    assert values.num_clips == clips
    assert values.top1 == pytest.approx(top1)
    assert values.top5 == pytest.approx(top5)
    assert sum(map(sum, values.confusion)) == clips


def test_batches_are_counted_when_there_are_enough_and_at_the_end(monkeypatch):
    monkeypatch.setattr(metrics_module, "UPDATED_AT_ONCE", 2)
    metrics = build_metrics(3)
    for batch, counted in enumerate([0, 2, 2, 4, 4]):  # all but the last two are right
        metrics.update(torch.eye(3)[[batch % 3]], torch.tensor([batch % 3 if batch < 3 else 0]))
        assert metrics["confusion"].confmat.sum() == counted
    assert compute_metrics(metrics).confusion == [[2, 1, 0], [0, 1, 0], [0, 0, 1]]
    metrics.update(torch.eye(3)[[0]], torch.tensor([0]))
    metrics.reset()
    metrics.update(torch.eye(3)[[1]], torch.tensor([1]))
    assert compute_metrics(metrics).confusion == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_log_loss_is_the_mean_over_clips_without_padding():
    loss, probabilities = LogLoss(), torch.tensor([[0.5, 0.5], [0.0, 1.0], [0.25, 0.75]])
    assert loss.compute() == 0
    loss.update(probabilities, torch.tensor([0, -1, -1]))
    assert float(loss.compute()) == pytest.approx(-math.log(0.5))
    loss.update(probabilities, torch.tensor([-1, 0, 1]))  # a probability that underflowed
    expected = -(math.log(0.5) + math.log(1e-12) + math.log(0.75)) / 3
    assert float(loss.compute()) == pytest.approx(expected)


def test_top1_and_top5_stay_separate_when_the_first_batch_is_all_correct(monkeypatch):
    monkeypatch.setattr(metrics_module, "UPDATED_AT_ONCE", 1)
    metrics = build_metrics(6)
    metrics.update(torch.eye(6), torch.arange(6))
    metrics.update(torch.arange(6.0).flip(0)[None], torch.tensor([4]))  # rank five
    metrics.update(torch.arange(6.0)[None], torch.tensor([0]))  # last
    values = compute_metrics(metrics)
    assert values.top1 == pytest.approx(6 / 8)
    assert values.top5 == pytest.approx(7 / 8)


def test_batch_of_padding_only_counts_nothing():
    metrics = build_metrics(3)
    metrics.update(torch.rand(4, 3), torch.full((4,), -1))
    assert compute_metrics(metrics).num_clips == 0
    metrics.update(torch.eye(3), torch.arange(3))
    assert compute_metrics(metrics).top1 == 1.0


def test_tie_in_half_precision_counts_once():
    metrics = build_metrics(3)
    metrics.update(torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.bfloat16), torch.tensor([1]))
    assert compute_metrics(metrics).num_clips == 1


def test_per_class_accuracy_is_none_for_a_class_without_clips():
    assert per_class_accuracy(torch.tensor([[1, 1, 0], [0, 0, 0], [0, 0, 4]])) == [0.5, None, 1.0]


def test_raises_on_one_class():
    with pytest.raises(ValueError, match="two classes"):
        build_metrics(1)
