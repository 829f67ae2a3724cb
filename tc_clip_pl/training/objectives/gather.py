"""The whole batch for losses that compare its clips with each other, however many processes share it.

Every process computes the same loss of all rows. Backward, a row gets the sum of all processes' gradients; with the
weights of `training_step`, which add up to the number of processes, and DDP's mean, that is the loss of one process
with the whole batch.
"""

from __future__ import annotations

import torch
from lightning.pytorch import Trainer
from torch import Tensor, distributed
from torch.nn.functional import pad

from tc_clip_pl.training.distributed import gather_with_gradient, is_distributed
from tc_clip_pl.training.objectives.base import Objective


def gather_rows(rows: Tensor) -> Tensor:
    """Concatenate the rows of all processes in rank order, with gradient.

    A collective, in both directions: a process without clips takes part with no rows (`Objective.spans_processes`).

    Args:
        rows: (B, ...); B may differ between processes and be 0.

    Returns:
        (sum of B, ...); the rows themselves where there is one process.
    """
    if not is_distributed():
        return rows
    counts = _gather_counts(rows)
    padding = [0, 0] * (rows.ndim - 1) + [0, max(counts) - len(rows)]
    parts = gather_with_gradient(pad(rows, padding)).chunk(len(counts))
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])


def _gather_counts(rows: Tensor) -> list[int]:
    count = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.empty_like(count) for _ in range(distributed.get_world_size())]
    distributed.all_gather(counts, count)
    return torch.cat(counts).tolist()


def at_least_one(rows: Tensor) -> Tensor:
    """Return rows, or one of zeros where there are none: a process without clips runs the model too, to join in."""
    return rows if len(rows) else rows.new_zeros(1, *rows.shape[1:])


def refuse_accumulation(objective: Objective, trainer: Trainer) -> None:
    """Raise a ValueError if an optimizer step has several batches, whose clips the loss could not compare."""
    if (steps := trainer.accumulate_grad_batches) > 1:
        raise ValueError(
            f"{type(objective).__name__} compares all clips of an optimizer step, and {steps} batches are accumulated: "
            "set data.batch_size to data.global_batch_size divided by the number of devices."
        )
