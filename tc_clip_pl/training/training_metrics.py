"""Training loss and accuracy, averaged over clips rather than batches.

Own state rather than one `MeanMetric` each: all three sums live in one tensor, so a step needs one synchronization.

Other scalars are logged by the callbacks in `logged_scalars.py`, listed in `configs/defaults.yaml`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from tc_clip_pl.training.distributed import sum_over_processes


class TrainingMetrics(Metric):
    """Mean loss and top-1 accuracy over all clips since the last reset.

    Every clip counts the same, so neither accumulation nor the number of processes changes the curve. A process may
    have no clips at all.
    """

    total: Tensor  # (3,): loss summed over clips, correct clips, clips

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**{"dist_sync_fn": _sum_over_processes, **kwargs})
        self.add_state("total", torch.zeros(3), dist_reduce_fx="sum")

    def update(self, loss: Tensor, logits: Tensor | None, label: Tensor) -> None:
        """Add a batch of this process.

        Args:
            loss: Mean loss over the B clips; B may be 0.
            logits: (B, Y) scores; None where the objective scores no classes: the accuracy is then 0.
            label: (B,) class ids, or (B, Y) soft targets, whose largest entry is the class.
        """
        target = label.argmax(-1) if label.ndim == 2 else label
        correct = (logits.argmax(-1) == target).sum() if logits is not None else torch.zeros_like(loss).long()
        # full_like keeps the count on the device; a tensor made from the number would make the CPU wait for the copy
        self.total += torch.stack([loss.detach() * len(label), correct, torch.full_like(correct, len(label))])

    def compute(self) -> dict[str, Tensor]:
        """Return `loss` and `top1` over the clips of all processes; 0 if there were none."""
        loss, correct, clips = self.total
        return {"loss": loss / clips.clamp_min(1), "top1": correct / clips.clamp_min(1)}


def _sum_over_processes(total: Tensor, group: object) -> list[Tensor]:
    """Return what torchmetrics adds up; its own gathering compares shapes on the host, which then waits for the GPU."""
    return [sum_over_processes(total)]
