"""Losses that are not finite end a run, or are skipped as often as allowed."""

import copy
import math
from types import SimpleNamespace

import pytest
import torch

from tc_clip_pl.training import finite_loss
from tc_clip_pl.training.finite_loss import FiniteLoss, can_drop_on_device
from tests.devices import DEVICE

TRAINER = SimpleNamespace(global_step=7, current_epoch=2)


@pytest.fixture
def step():
    """Runs one optimizer step of batches with given losses and clips; returns the gradient that is left."""

    def run(callback, *losses, first_batch=0, num_clips=2):
        weight = torch.nn.Parameter(torch.ones(1))
        optimizer = torch.optim.SGD([weight], lr=1.0)
        weight.grad = torch.ones(1)
        for number, loss in enumerate(losses, first_batch):
            clips = [f"{number}_{n}.mp4" for n in range(num_clips)]
            callback.on_train_batch_start(TRAINER, None, SimpleNamespace(video_id=clips), number)
            callback.on_before_backward(TRAINER, None, torch.tensor(loss, requires_grad=True))
        callback.on_before_optimizer_step(TRAINER, None, optimizer)
        return weight.grad

    return run


def test_finite_losses_pass(step):
    callback = FiniteLoss()
    assert step(callback, 0.5, 1e30) == torch.ones(1) and callback.num_bad_steps == 0


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_error_names_step_batch_and_clips(step, loss):
    with pytest.raises(ValueError, match=r"optimizer step 8 \(epoch 2, batch 5, clips 5_0\.mp4, 5_1\.mp4\): lower"):
        step(FiniteLoss(), 0.5, loss, 0.5, loss, first_batch=4)


@pytest.mark.parametrize(("num_clips", "named"), [(4, r"0_3\.mp4\)"), (5, r"0_3\.mp4 and 1 more\)")])
def test_error_names_four_clips(step, num_clips, named):
    with pytest.raises(ValueError, match=named):
        step(FiniteLoss(), math.nan, num_clips=num_clips)


def test_as_many_steps_as_allowed_are_skipped(step):
    callback = FiniteLoss(max_bad_steps=2)
    with pytest.warns(UserWarning, match=r"This step is skipped \(1 of at most 2\)"):
        assert step(callback, math.nan, 0.5) is None
    assert step(callback, 0.5) == torch.ones(1)  # the bad batch belongs to the step before
    with pytest.warns(UserWarning, match=r"\(2 of at most 2\)"):
        assert step(callback, 0.5, math.inf) is None
    with pytest.raises(ValueError, match="not finite"):
        step(callback, math.nan)


def test_a_resumed_run_keeps_count(step):
    resumed = FiniteLoss(max_bad_steps=1)
    resumed.load_state_dict({"num_bad_steps": 1})
    assert resumed.state_dict() == {"num_bad_steps": 1}
    with pytest.raises(ValueError, match="not finite"):
        step(resumed, math.nan)


def test_raises_below_zero():
    with pytest.raises(ValueError, match="max_bad_steps is -1; it must be at least 0"):
        FiniteLoss(-1)


@pytest.fixture
def late(monkeypatch):
    """A callback that learns of bad steps late, as on a GPU; and its optimizer, which a CPU has as well."""

    class Copied:
        def record(self):
            pass

        def synchronize(self):
            pass

    monkeypatch.setattr(finite_loss, "can_drop_on_device", lambda optimizer: True)
    monkeypatch.setattr(torch.cuda, "Event", Copied)
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=0.1, weight_decay=0.1, fused=True)
    return FiniteLoss(max_bad_steps=1), weight, optimizer


def late_step(callback, weight, optimizer, loss, number):
    weight.grad = torch.full((3,), loss)
    callback.on_train_batch_start(TRAINER, None, SimpleNamespace(video_id=[f"{number}.mp4"]), number)
    callback.on_before_backward(TRAINER, None, torch.tensor(loss))
    callback.on_before_optimizer_step(TRAINER, None, optimizer)
    optimizer.step()


def test_a_bad_step_is_dropped_by_the_optimizer_and_told_of_a_step_later(late):
    callback, weight, optimizer = late
    late_step(*late, 0.5, 0)
    before, state = weight.detach().clone(), copy.deepcopy(optimizer.state_dict())
    late_step(*late, math.nan, 1)
    assert torch.equal(weight, before) and callback.num_bad_steps == 0
    torch.testing.assert_close(optimizer.state_dict(), state, rtol=0, atol=0)
    with pytest.warns(UserWarning, match=r"batch 1, clips 1\.mp4\).*This step is skipped \(1 of at most 1\)"):
        late_step(*late, 0.5, 2)
    assert not torch.equal(weight, before)


@pytest.mark.parametrize("hook", ["on_train_epoch_end", "on_validation_start"])
def test_no_epoch_ends_and_no_validation_starts_before_the_last_step_is_known(late, hook):
    callback, weight, _ = late
    late_step(*late, math.inf, 0)
    with pytest.warns(UserWarning, match=r"batch 0, clips 0\.mp4"):
        getattr(callback, hook)(TRAINER, None)
    late_step(*late, math.nan, 1)
    with pytest.raises(ValueError, match=r"batch 1, clips 1\.mp4"):
        late_step(*late, 0.5, 2)
    assert torch.equal(weight, torch.ones(3))


def test_a_checkpoint_counts_the_last_step_too(late):
    late_step(*late, math.nan, 0)
    with pytest.warns(UserWarning, match="This step is skipped"):
        assert late[0].state_dict() == {"num_bad_steps": 1}


def test_only_fused_optimizers_on_a_gpu_drop_steps():
    weight = torch.nn.Parameter(torch.ones(1, device=DEVICE))
    found = [can_drop_on_device(torch.optim.AdamW([weight], fused=fused)) for fused in (True, False)]
    assert found == [DEVICE == "cuda", False]
