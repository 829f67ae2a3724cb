"""The test runs with weights between CLIP's and the fine-tuned ones, and nothing else does."""

import pytest
import torch
from lightning.pytorch import Callback

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
    make_trainer(WeightSpaceEnsemble(0.5)).test(fine_tuned, datamodule=make_data(), verbose=False)
    assert {name: p.data_ptr() for name, p in fine_tuned.model.named_parameters()} == before


@pytest.mark.parametrize("weight", [-0.1, 1.5])
def test_raises_on_weight_outside_unit_interval(weight):
    with pytest.raises(ValueError, match=r"ensembling\.weight"):
        WeightSpaceEnsemble(weight)
