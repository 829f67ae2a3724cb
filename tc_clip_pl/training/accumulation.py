"""Gradient accumulation: how many batches make an optimizer step, and what each of them weighs in it."""

from __future__ import annotations

from collections.abc import Sized

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info


def accumulation_steps(global_batch_size: int, batch_size: int, num_devices: int) -> int:
    """Return the batches per optimizer step: global batch = devices x batch x accumulation.

    Raises:
        ValueError: If the global batch is not a multiple of devices x batch.

    Example:
        >>> accumulation_steps(global_batch_size=64, batch_size=8, num_devices=2)
        4
    """
    clips = num_devices * batch_size
    steps, remainder = divmod(global_batch_size, clips)
    if remainder or not steps:
        raise ValueError(
            f"data.global_batch_size={global_batch_size} is not a multiple of {num_devices} device(s) x "
            f"data.batch_size={batch_size} = {clips}: {_suggest_batch_size(global_batch_size, batch_size, num_devices)}"
        )
    return steps


def _suggest_batch_size(global_batch_size: int, batch_size: int, num_devices: int) -> str:
    if global_batch_size % num_devices:
        return f"choose a global batch that {num_devices} devices can share evenly."
    share = global_batch_size // num_devices
    # The largest divisor up to the batch size asked for: that one may be all that fits into memory.
    fitting = max(size for size in range(1, min(batch_size, share) + 1) if share % size == 0)
    return f"use data.batch_size={fitting}."


def micro_batch_weight(
    num_clips: int, batch_idx: int, *, batch_size: int, accumulation: int, clips_per_epoch: int, num_processes: int = 1
) -> float:
    """Return the factor for a batch's mean loss that gives every clip of an optimizer step the same weight.

    Lightning divides each loss by the accumulation, and gradients are averaged over the processes. This gives each clip
    1 / (batch size x accumulation x processes) of the gradient, if every batch is full. At the end of an epoch, batches
    may be short and steps may have fewer of them: without this factor their gradient would shrink, and clips in short
    batches would count more.

    Args:
        num_clips: Clips in this batch.
        batch_idx: Position of the batch in this process's epoch, from 0.
        batch_size: Clips in a full batch.
        accumulation: Batches per process in a full optimizer step.
        clips_per_epoch: Clips in an epoch, over all processes.
        num_processes: Number of processes.

    Returns:
        1 for a full batch of a full step.

    Example:
        >>> micro_batch_weight(2, 2, batch_size=4, accumulation=2, clips_per_epoch=10)  # alone in the last step
        2.0
    """
    # All steps before this one were full, on every process.
    clips_before = batch_idx // accumulation * accumulation * batch_size * num_processes
    clips_in_step = min(accumulation * batch_size * num_processes, clips_per_epoch - clips_before)
    # (num_clips / clips_in_step) is the batch's fair share of the step; the rest undoes both divisions. A data module
    # that yields more clips than its sampler announced must not divide by zero or less.
    return num_clips * accumulation * num_processes / max(clips_in_step, num_clips)


def loss_weight(trainer: Trainer, num_clips: int, batch_idx: int) -> float:
    """Return `micro_batch_weight` for the Trainer's current training batch; 1 if the loader has no length."""
    loader = trainer.train_dataloader
    sampler, batch_size = getattr(loader, "sampler", None), getattr(loader, "batch_size", None)
    if not isinstance(sampler, Sized) or not batch_size:
        return 1.0
    # A sampler that splits the clips unevenly tells their total as `num_clips`: its length is only this process's.
    clips = getattr(sampler, "num_clips", len(sampler) * trainer.world_size)
    # num_training_batches may be smaller than the loader: trainer.limit_train_batches
    clips_in_batches = int(trainer.num_training_batches) * batch_size * trainer.world_size
    return micro_batch_weight(
        num_clips,
        batch_idx,
        batch_size=batch_size,
        accumulation=trainer.accumulate_grad_batches,
        clips_per_epoch=min(clips, clips_in_batches),
        num_processes=trainer.world_size,
    )


class GlobalBatchSize(Callback):
    """Set the Trainer's accumulation so that each optimizer step sees `datamodule.global_batch_size` clips.

    Raises:
        ValueError: At the start of training, if the global batch does not divide, or if the Trainer was configured
            with a different accumulation.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Derive the accumulation."""
        # In setup, because the scheduler's length and the progress bar depend on the number of optimizer steps.
        wanted = getattr(getattr(trainer, "datamodule", None), "global_batch_size", None)
        if stage != "fit" or wanted is None:
            return
        batch_size = trainer.datamodule.batch_size
        steps = accumulation_steps(wanted, batch_size, trainer.world_size)
        if trainer.accumulate_grad_batches not in (1, steps):  # 1 is the Trainer's default; steps, a second fit
            raise ValueError(
                f"trainer.accumulate_grad_batches={trainer.accumulate_grad_batches} contradicts "
                f"data.global_batch_size={wanted}, which needs {steps}: remove one of the two."
            )
        trainer.accumulate_grad_batches = steps
        rank_zero_info(
            f"Global batch of {wanted} clips = {trainer.world_size} device(s) x {batch_size} clips x {steps} batches."
        )
