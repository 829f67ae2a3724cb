"""Stop a run whose loss is no longer finite, instead of reporting the accuracy of weights that are NaN."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer

from tc_clip_pl.training.distributed import gather_lists, sum_over_processes


class FiniteLoss(Callback):
    """Check the loss of every optimizer step before its gradients reach the weights.

    The check reads one number from the device per optimizer step. A bad step is skipped, with its gradients dropped, as
    long as no more than `max_bad_steps` were; all processes take the same decision.

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
        self._batches: list[tuple[int, list[str]]] = []  # position in the epoch and clips, for the message

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Note which clips the coming loss belongs to."""
        self._batches.append((batch_idx, list(batch.video_id)))

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Keep the loss of a batch on its device: waiting for it here would stall the GPU in every batch."""
        self._losses.append(loss.detach())

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Skip or refuse a step that has a bad loss on any process."""
        is_bad = ~torch.isfinite(torch.stack(self._losses).float())
        batches, self._losses, self._batches = self._batches, [], []
        if not sum_over_processes(is_bad.sum()):
            return
        self.num_bad_steps += 1
        bad = [(number, clips) for (number, clips), found in zip(batches, is_bad.tolist(), strict=True) if found]
        message = self._describe(trainer, gather_lists(bad))
        if self.num_bad_steps > self.max_bad_steps:
            raise ValueError(message)
        rank_zero_warn(f"{message} This step is skipped ({self.num_bad_steps} of at most {self.max_bad_steps}).")
        optimizer.zero_grad(set_to_none=True)  # AdamW leaves parameters without a gradient alone

    def state_dict(self) -> dict[str, int]:
        """Return the number of steps skipped so far, so that a resumed run keeps count."""
        return {"num_bad_steps": self.num_bad_steps}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take over the count of the run that is resumed."""
        self.num_bad_steps = state_dict["num_bad_steps"]

    @staticmethod
    def _describe(trainer: Trainer, bad: list[tuple[int, list[str]]]) -> str:
        number, clips = bad[0]
        shown = ", ".join(clips[:4]) + (f" and {len(clips) - 4} more" if len(clips) > 4 else "")
        return (
            f"The loss is not finite in optimizer step {trainer.global_step + 1} (epoch {trainer.current_epoch}, batch "
            f"{number}, clips {shown}): lower the learning rate, check these clips, or allow some such steps by "
            "--max_bad_steps."
        )
