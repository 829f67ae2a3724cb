"""Accumulation derived from the global batch, and the weight of each clip in an optimizer step."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback

from tc_clip_pl.training.accumulation import GlobalBatchSize, accumulation_steps, loss_weight, micro_batch_weight


@pytest.mark.parametrize(("wanted", "batch", "devices", "steps"), [(64, 8, 1, 8), (64, 8, 2, 4), (8, 8, 1, 1)])
def test_accumulation_steps(wanted, batch, devices, steps):
    assert accumulation_steps(wanted, batch, devices) == steps


@pytest.mark.parametrize(
    ("wanted", "batch", "devices", "hint"),
    [
        (64, 7, 1, "use data.batch_size=4"),
        (7, 4, 1, "use data.batch_size=1\\."),
        (8, 16, 1, "data.batch_size=8"),
        (64, 8, 3, "3 devices"),
    ],
)
def test_raises_if_global_batch_is_not_a_multiple(wanted, batch, devices, hint):
    with pytest.raises(ValueError, match=f"global_batch_size={wanted} is not a multiple.*{hint}"):
        accumulation_steps(wanted, batch, devices)


@pytest.mark.parametrize("num_clips", [1, 7, 24, 29, 32])
def test_each_clip_of_a_step_counts_the_same(num_clips):
    batch_size, accumulation = 4, 3
    sizes = [min(batch_size, num_clips - start) for start in range(0, num_clips, batch_size)]
    for first in range(0, len(sizes), accumulation):
        group = range(first, min(first + accumulation, len(sizes)))
        in_step = sum(sizes[i] for i in group)
        for i in group:
            weight = micro_batch_weight(
                sizes[i], i, batch_size=batch_size, accumulation=accumulation, clips_per_epoch=num_clips
            )
            share_of_a_clip = weight / accumulation / sizes[i]  # Lightning divides by the accumulation
            assert share_of_a_clip == pytest.approx(1 / in_step)


def test_each_clip_of_a_step_counts_the_same_if_processes_have_unequal_last_batches():
    shares = [[4, 4, 4, 2], [4, 4, 4, 1]]  # clips per batch of two processes; a step is two batches
    weight = partial(micro_batch_weight, batch_size=4, accumulation=2, clips_per_epoch=27, num_processes=2)
    for step in (slice(0, 2), slice(2, 4)):
        in_step = sum(sum(share[step]) for share in shares)
        for share in shares:
            for index in range(4)[step]:
                share_of_a_clip = weight(share[index], index) / 2 / 2 / share[index]  # Lightning divides by 2, DDP by 2
                assert share_of_a_clip == pytest.approx(1 / in_step)


class GradientSpy(Callback):
    """Copies all gradients of each optimizer step."""

    def __init__(self):
        self.steps = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.steps.append({n: p.grad.clone() for n, p in pl_module.named_parameters() if p.grad is not None})


def test_accumulated_gradients_equal_those_of_one_large_batch(make_module, make_data, make_trainer):
    spies = []
    for data in (make_data(batch_size=8, num_clips=11), make_data(batch_size=2, global_batch_size=8, num_clips=11)):
        spy = GradientSpy()
        trainer = make_trainer(GlobalBatchSize(), spy)
        trainer.fit(make_module(learning_rate=1e-12), datamodule=data)
        spies.append(spy)
    assert trainer.accumulate_grad_batches == 4
    assert [len(spy.steps) for spy in spies] == [2, 2]
    for whole, accumulated in zip(spies[0].steps, spies[1].steps, strict=True):
        norm = torch.nn.utils.get_total_norm(whole.values())
        for name, gradient in whole.items():
            assert (accumulated[name] - gradient).norm() < 1e-4 * norm, name


def test_raises_on_contradicting_accumulation(make_module, make_data, make_trainer):
    with pytest.raises(ValueError, match="contradicts"):
        make_trainer(GlobalBatchSize(), accumulate_grad_batches=3).fit(
            make_module(), datamodule=make_data(global_batch_size=8)
        )


@pytest.mark.parametrize("loader", [None, SimpleNamespace(sampler=iter("ab"), batch_size=4)])
def test_batches_of_a_loader_without_a_length_count_the_same(loader):
    assert loss_weight(SimpleNamespace(train_dataloader=loader), num_clips=3, batch_idx=5) == 1
