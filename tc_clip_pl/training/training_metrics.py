"""Loss and accuracy while training, over whole optimizer steps and epochs and over all processes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class TrainingFigures:
    """Adds up loss and right answers clip by clip, so that the curve depends on nothing but the clips of a step.

    Neither the accumulation nor the number of processes changes a figure, and a process whose clips were all left out
    takes part like every other.
    """

    def __init__(self) -> None:
        self._step: Tensor | float = 0.0  # (3,): loss summed over the clips, right answers, clips
        self._epoch: Tensor | float = 0.0

    def add(self, loss: Tensor, logits: Tensor, label: Tensor) -> None:
        """Count a batch of this process.

        Args:
            loss: Mean loss of its B clips.
            logits: (B, Y) scores.
            label: (B,) class ids, or (B, Y) soft targets, of which the largest counts.
        """
        target = label.argmax(-1) if label.is_floating_point() else label
        right = (logits.argmax(-1) == target).sum()
        sums = torch.stack([loss.detach() * len(logits), right, torch.full_like(right, len(logits))])
        self._step = self._step + sums.float()

    def end_step(self, sum_over_processes: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """Close an optimizer step; every process must call it.

        Args:
            sum_over_processes: Adds up a tensor of all processes.

        Returns:
            `loss` and `top1` over the clips of the step.
        """
        total = sum_over_processes(torch.as_tensor(self._step))
        self._epoch, self._step = self._epoch + total, torch.zeros_like(total)
        return _means(total)

    def end_epoch(self) -> dict[str, Tensor]:
        """Close an epoch.

        Returns:
            `loss` and `top1` over the clips of all its steps.
        """
        total, self._epoch = torch.as_tensor(self._epoch), 0.0
        return _means(total)


def _means(total: Tensor) -> dict[str, Tensor]:
    loss, right, clips = total
    return {"loss": loss / clips.clamp_min(1), "top1": right / clips.clamp_min(1)}
