"""Stop a run whose loss is no longer finite, instead of reporting the accuracy of weights that are NaN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer

from tc_clip_pl.training.distributed import gather_lists, sum_over_processes


@dataclass
class _Step:
    """The losses of an optimizer step.

    Attributes:
        number: Of the step, from 1.
        epoch: Its epoch.
        batches: Positions in the epoch and clips of its batches, for the message.
        is_bad: (batches,) bool, whose losses are not finite.
        num_bad: How many over all processes; on a GPU that is not waited for, a copy on its way to the host.
        copied: What to wait for before `num_bad` is read.
    """

    number: int
    epoch: int
    batches: list[tuple[int, list[str]]]
    is_bad: Tensor
    num_bad: Tensor
    copied: torch.cuda.Event | None = None


class FiniteLoss(Callback):
    """Check the loss of every optimizer step before its gradients reach the weights.

    A bad step is skipped, with its gradients dropped, as long as no more than `max_bad_steps` were; all processes take
    the same decision. On a GPU, an optimizer that can drop a step itself, such as fused AdamW, does so, and the host
    reads a step later whether it did: it would otherwise wait for the GPU in every step, and the GPU then for the host.

    Args:
        max_bad_steps: Optimizer steps with a loss that is not finite that a run may skip, at least 0.

    Raises:
        ValueError: The loss is not finite once too often; the message names the step, the batch and the clips.
    """

    def __init__(self, max_bad_steps: int = 0) -> None:
        if max_bad_steps < 0:
            raise ValueError(f"max_bad_steps is {max_bad_steps}; it must be at least 0.")
        self.max_bad_steps = max_bad_steps
        self.num_bad_steps = 0
        self._losses: list[Tensor] = []
        self._batches: list[tuple[int, list[str]]] = []
        self._unread: _Step | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Note which clips the coming loss belongs to."""
        self._batches.append((batch_idx, list(batch.video_id)))

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Keep the loss of a batch on its device: waiting for it here would stall the GPU in every batch."""
        self._losses.append(loss.detach())

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Skip or refuse a step that has a bad loss on any process."""
        self._read()
        is_bad = ~torch.isfinite(torch.stack(self._losses).float())
        num_bad = sum_over_processes(is_bad.sum())
        step = _Step(trainer.global_step + 1, trainer.current_epoch, self._batches, is_bad, num_bad)
        self._losses, self._batches = [], []
        if can_drop_on_device(optimizer):
            optimizer.found_inf = num_bad.clamp(max=1).float()
            step.num_bad, step.copied = num_bad.to("cpu", non_blocking=True), torch.cuda.Event()
            step.copied.record()
            self._unread = step
        elif num_bad:
            optimizer.zero_grad(set_to_none=True)  # AdamW leaves parameters without a gradient alone
            self._report(step)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read what came of the last step, before anybody hears of its weights."""
        self._read()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read what came of the last step, before a checkpoint is written."""
        self._read()

    def _read(self) -> None:
        step, self._unread = self._unread, None
        if step is None:
            return
        step.copied.synchronize()
        if step.num_bad:
            self._report(step)

    def _report(self, step: _Step) -> None:
        self.num_bad_steps += 1
        bad = [batch for batch, found in zip(step.batches, step.is_bad.tolist(), strict=True) if found]
        message = self._describe(step, gather_lists(bad))
        if self.num_bad_steps > self.max_bad_steps:
            raise ValueError(message)
        rank_zero_warn(f"{message} This step is skipped ({self.num_bad_steps} of at most {self.max_bad_steps}).")

    def state_dict(self) -> dict[str, int]:
        """Return the number of steps skipped so far, the last one included, so that a resumed run keeps count."""
        self._read()
        return {"num_bad_steps": self.num_bad_steps}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take over the count of the run that is resumed."""
        self.num_bad_steps = state_dict["num_bad_steps"]

    @staticmethod
    def _describe(step: _Step, bad: list[tuple[int, list[str]]]) -> str:
        number, clips = bad[0]
        shown = ", ".join(clips[:4]) + (f" and {len(clips) - 4} more" if len(clips) > 4 else "")
        return (
            f"The loss is not finite in optimizer step {step.number} (epoch {step.epoch}, batch "
            f"{number}, clips {shown}): lower the learning rate, check these clips, or allow some such steps by "
            "--max_bad_steps."
        )


def can_drop_on_device(optimizer: Optimizer) -> bool:
    """Whether an optimizer skips its step where its `found_inf` is 1, on a GPU, without the host knowing.

    It is what torch's own loss scaling asks of fused optimizers. A `found_inf` without dimensions serves sharded
    parameters too.
    """
    first = optimizer.param_groups[0]["params"][0]
    return first.is_cuda and getattr(optimizer, "_step_supports_amp_scaling", False)
