"""Loss and accuracy over clips, whatever the batches and processes they came in."""

import warnings

import pytest
import torch

from tc_clip_pl.training.training_metrics import TrainingMetrics

LOGITS = torch.eye(3)  # logits of three clips, predicted as classes 0, 1, 2


def _values(metrics):
    return {name: float(value) for name, value in metrics.compute().items()}


def test_every_clip_counts_the_same():
    metrics = TrainingMetrics()
    metrics.update(torch.tensor(2.0), LOGITS, torch.tensor([0, 1, 0]))
    metrics.update(torch.tensor(4.0), LOGITS[:1], torch.tensor([[0.2, 0.8, 0.0]]))
    assert _values(metrics) == {"loss": pytest.approx(10 / 4), "top1": pytest.approx(2 / 4)}
    metrics.reset()
    metrics.update(torch.tensor(1.0), LOGITS[:2], torch.tensor([0, 1]))
    assert _values(metrics) == {"loss": 1.0, "top1": 1.0}


@pytest.mark.parametrize(("num_clips", "values"), [(0, {"loss": 0, "top1": 0}), (1, {"loss": 3, "top1": 1})])
def test_means_of_no_clip_and_of_one(num_clips, values):
    metrics = TrainingMetrics()
    metrics.update(torch.tensor(3.0), LOGITS[:num_clips], torch.arange(num_clips))
    assert _values(metrics) == values


@pytest.mark.parametrize("label", [torch.zeros(0, dtype=torch.long), torch.zeros(0), torch.zeros(0, 3)])
def test_process_without_clips_takes_part(label):
    other_process = torch.tensor([6.0, 1.0, 2.0])
    metrics = TrainingMetrics(
        dist_sync_fn=lambda total, group: [total, other_process], distributed_available_fn=lambda: True
    )
    metrics.update(torch.tensor(0.0), torch.zeros(0, 3), label)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _values(metrics) == {"loss": 3.0, "top1": 0.5}


def test_keeps_no_graph():
    metrics, loss = TrainingMetrics(), torch.ones((), requires_grad=True)
    metrics.update(loss, LOGITS, torch.tensor([0, 1, 2]))
    assert not metrics.total.requires_grad
