"""The test runs with weights between CLIP's and the fine-tuned ones, and nothing else does."""

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.strategies import ModelParallelStrategy

from tc_clip_pl.evaluation.metrics import BufferedMetrics
from tc_clip_pl.training import WeightSpaceEnsemble


class Spy(Callback):
    """Copies the weights that a test runs with, and raises an error if given one."""

    def __init__(self, error=None):
        self.error, self.seen = error, None

    def on_test_batch_start(self, trainer, pl_module, *_):
        self.seen = {name: p.detach().clone() for name, p in pl_module.model.named_parameters()}
        if self.error:
            raise self.error


@pytest.fixture
def fine_tuned(make_module):
    """A module whose every parameter has moved away from CLIP."""
    module = make_module()
    with torch.no_grad():
        for parameter in module.model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return module


def _weights(module):
    return {name: p.detach().clone() for name, p in module.model.named_parameters()}


@pytest.mark.parametrize("weight", [0.0, 0.7, 1.0])
def test_interpolates_clip_and_keeps_new_parameters(fine_tuned, make_data, make_trainer, weight):
    before, clip, added = (
        _weights(fine_tuned),
        fine_tuned.model.clip_state_dict(),
        fine_tuned.model.new_parameter_names(),
    )
    spy = Spy()
    make_trainer(WeightSpaceEnsemble(weight), spy).test(fine_tuned, datamodule=make_data(), verbose=False)
    for name, seen in spy.seen.items():
        expected = before[name] if name in added else (1 - weight) * clip[name] + weight * before[name]
        torch.testing.assert_close(seen, expected, rtol=0, atol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in _weights(fine_tuned).items())


@pytest.mark.parametrize("error", [RuntimeError("in the middle"), KeyboardInterrupt()])
def test_restores_bit_for_bit_whatever_ends_the_test(fine_tuned, make_data, make_trainer, error):
    before = _weights(fine_tuned)
    spy = Spy(error)
    with pytest.raises((RuntimeError, KeyboardInterrupt, SystemExit)):
        make_trainer(WeightSpaceEnsemble(0.5), spy).test(fine_tuned, datamodule=make_data(), verbose=False)
    name = "visual_projection.weight"
    assert not torch.equal(spy.seen[name], before[name])
    assert all(torch.equal(value, before[name]) for name, value in _weights(fine_tuned).items())


def test_changes_nothing_if_clip_is_gone(fine_tuned, make_data, make_trainer):
    before = _weights(fine_tuned)
    fine_tuned.model.config.clip_name_or_path = "/nowhere"
    with pytest.raises(OSError, match="nowhere"):
        make_trainer(WeightSpaceEnsemble(0.5)).test(fine_tuned, datamodule=make_data(), verbose=False)
    assert all(torch.equal(value, before[name]) for name, value in _weights(fine_tuned).items())


def test_weight_one_never_loads_clip(fine_tuned, make_data, make_trainer):
    fine_tuned.model.config.clip_name_or_path = "/nowhere"
    make_trainer(WeightSpaceEnsemble(1.0)).test(fine_tuned, datamodule=make_data(), verbose=False)


def test_writes_in_place_so_that_an_optimizer_keeps_its_parameters(fine_tuned, make_data, make_trainer):
    before = {name: p.data_ptr() for name, p in fine_tuned.model.named_parameters()}
    for weights in (0.5, [0.5, 0.7]):
        make_trainer(WeightSpaceEnsemble(weights)).test(fine_tuned, datamodule=make_data(), verbose=False)
        assert {name: p.data_ptr() for name, p in fine_tuned.model.named_parameters()} == before


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-0.1, "between 0"),
        ([1.0, 1.5], "between 0.*got 1.5"),
        (float("nan"), "between 0"),
        ([], "is empty"),
        ([0.7, 1.0, 0.7], "0.7 more than once"),
        ([0.7, 0.70000001], "0.7 more than once"),
    ],
)
def test_raises_on_wrong_weights(weights, message):
    with pytest.raises(ValueError, match=rf"ensembling\.weights .*{message}"):
        WeightSpaceEnsemble(weights)


# One pass for all weights

WEIGHTS = [1.0, 0.7, 0.3, 0.0]


@pytest.fixture
def two_sets(make_data, make_test_set):
    """Two test sets of different classes, two views each."""
    sets = [
        make_test_set("toy", "split1", ["wave", "jump", "brush hair"]),
        make_test_set("other", "all", ["run", "walk"]),
    ]
    return lambda: make_data(test_sets=sets)


@pytest.fixture
def all_probabilities(monkeypatch):
    """Probabilities of every clip in the order in which the metrics got them."""
    seen, update = [], BufferedMetrics.update

    def record(self, probabilities, labels):
        seen.append(probabilities.clone())
        update(self, probabilities, labels)

    monkeypatch.setattr(BufferedMetrics, "update", record)
    return seen


def _test(module, data, make_trainer, ensemble, **options):
    """Test with all passes; return results and logged metrics."""
    trainer, results, logged = make_trainer(ensemble, **options), {}, {}
    for _ in ensemble.passes(trainer):
        trainer.test(module, datamodule=data, verbose=False)
        results |= module.test_results
        logged |= trainer.logged_metrics
    return results, logged


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("inference_mode", [True, False])
def test_one_pass_equals_separate_passes_bit_for_bit(
    fine_tuned, two_sets, make_trainer, all_probabilities, precision, inference_mode
):
    options = {"precision": precision, "inference_mode": inference_mode}
    separate = _test(fine_tuned, two_sets(), make_trainer, WeightSpaceEnsemble(WEIGHTS, sequential=True), **options)
    expected = all_probabilities.copy()  # by weight, then by batch
    all_probabilities.clear()
    together = _test(fine_tuned, two_sets(), make_trainer, WeightSpaceEnsemble(WEIGHTS), **options)
    assert together == separate
    assert len(together[0]) == len(WEIGHTS) and len(together[1]) == 4 * len(WEIGHTS)
    num_batches = len(expected) // len(WEIGHTS)
    for index, probabilities in enumerate(all_probabilities):  # by batch, then by weight
        batch, weight = divmod(index, len(WEIGHTS))
        assert torch.equal(probabilities, expected[weight * num_batches + batch])
    assert not torch.equal(all_probabilities[0], all_probabilities[1])


@pytest.mark.parametrize(("sequential", "reads"), [(False, 1), (True, 4)])
def test_reads_every_clip_once_in_one_pass(fine_tuned, two_sets, make_trainer, monkeypatch, sequential, reads):
    data, read = two_sets(), []
    for loader in (loaders := data.test_dataloader()):
        dataset, get = loader.dataset, type(loader.dataset).__getitem__
    monkeypatch.setattr(type(dataset), "__getitem__", lambda self, index: read.append(index) or get(self, index))
    _test(fine_tuned, data, make_trainer, WeightSpaceEnsemble(WEIGHTS, sequential=sequential))
    assert len(read) == reads * sum(len(loader.dataset) for loader in loaders)


def test_start_of_a_test_says_what_is_scored(fine_tuned, make_data, make_trainer, caplog):
    with caplog.at_level("INFO"):
        _test(fine_tuned, make_data(), make_trainer, WeightSpaceEnsemble([1.0, 0.7, 0.0]))
    assert "Testing in one pass: fine-tuned, 0.7 x fine-tuned + 0.3 x CLIP, CLIP's encoders." in caplog.text


def test_encodes_the_classes_once_for_each_weight_and_test_set(fine_tuned, two_sets, make_trainer, monkeypatch):
    encode, runs = fine_tuned.model._encode_classes, []
    monkeypatch.setattr(fine_tuned.model, "_encode_classes", lambda: runs.append(None) or encode())
    _test(fine_tuned, two_sets(), make_trainer, WeightSpaceEnsemble(WEIGHTS))
    assert len(runs) == 2 * len(WEIGHTS)
    assert not fine_tuned.model._class_cache._entries  # nothing is kept of weights that are gone


def test_metrics_name_their_weight(fine_tuned, make_data, make_trainer):
    _, logged = _test(fine_tuned, make_data(), make_trainer, WeightSpaceEnsemble([0.7, 1.0]))
    assert logged.keys() == {
        "test/data/test/top1", "test/data/test/top5", "test/data/test/top1_w0.7", "test/data/test/top5_w0.7",
    }  # fmt: skip


@pytest.mark.parametrize("error", [None, RuntimeError("in the middle"), KeyboardInterrupt()])
def test_one_pass_never_touches_the_fine_tuned_weights(fine_tuned, make_data, make_trainer, error):
    before, spy = _weights(fine_tuned), Spy(error)
    trainer = make_trainer(WeightSpaceEnsemble(WEIGHTS), spy)
    if error is None:
        trainer.test(fine_tuned, datamodule=make_data(), verbose=False)
    else:
        with pytest.raises((RuntimeError, KeyboardInterrupt, SystemExit)):
            trainer.test(fine_tuned, datamodule=make_data(), verbose=False)
    assert all(torch.equal(value, before[name]) for name, value in spy.seen.items())
    assert all(torch.equal(value, before[name]) for name, value in _weights(fine_tuned).items())
    assert fine_tuned.weight_sets == {1.0: {}}


def test_passes_after_an_error_start_over(fine_tuned, make_data, make_trainer):
    ensemble = WeightSpaceEnsemble([1.0, 0.5], sequential=True)
    with pytest.raises(RuntimeError, match="in the middle"):
        _test(fine_tuned, make_data(), lambda *c, **o: make_trainer(*c, Spy(RuntimeError("in the middle"))), ensemble)
    assert list(_test(fine_tuned, make_data(), make_trainer, ensemble)[0]) == [1.0, 0.5]


def test_sequential_test_without_passes_says_so(fine_tuned, make_data, make_trainer):
    ensemble = WeightSpaceEnsemble([1.0, 0.5], sequential=True)
    with pytest.raises(ValueError, match="once for each of `passes`"):
        make_trainer(ensemble).test(fine_tuned, datamodule=make_data(), verbose=False)


def test_sharded_models_take_one_pass_per_weight(make_trainer):
    trainer = make_trainer(strategy=ModelParallelStrategy())
    assert list(WeightSpaceEnsemble([1.0, 0.5]).passes(trainer)) == [(1.0,), (0.5,)]
    assert list(WeightSpaceEnsemble([1.0, 0.5]).passes(make_trainer())) == [(1.0, 0.5)]


def test_predicts_with_the_first_weight(fine_tuned, make_data, make_trainer, all_probabilities):
    make_trainer(WeightSpaceEnsemble(0.5)).test(fine_tuned, datamodule=make_data(), verbose=False)
    before = _weights(fine_tuned)
    predictions = make_trainer(WeightSpaceEnsemble([0.5, 1.0])).predict(fine_tuned, datamodule=make_data())
    assert torch.equal(torch.cat([batch["probabilities"] for batch in predictions]), torch.cat(all_probabilities))
    assert all(torch.equal(value, before[name]) for name, value in _weights(fine_tuned).items())


def test_fine_tuned_weights_and_the_papers_share_are_tested_by_default():
    assert WeightSpaceEnsemble().weights == (1.0, 0.7)


def test_a_frozen_clip_is_never_ensembled(fine_tuned, make_data, make_trainer, monkeypatch):
    monkeypatch.setattr(type(fine_tuned.model), "can_ensemble", False)
    message = r"TC-CLIP leaves CLIP's weights as they are.* at w = 0\.7: give --ensembling\.weights \[1\.0\]"
    for weights in ([1.0, 0.7], 0.7):
        trainer = make_trainer(WeightSpaceEnsemble(weights))
        with pytest.raises(ValueError, match=message):
            trainer.test(fine_tuned, datamodule=make_data(), verbose=False)
    with pytest.raises(ValueError, match=message):
        make_trainer(WeightSpaceEnsemble([0.7, 1.0])).predict(fine_tuned, datamodule=make_data())
    make_trainer(WeightSpaceEnsemble(1.0)).test(fine_tuned, datamodule=make_data(), verbose=False)
