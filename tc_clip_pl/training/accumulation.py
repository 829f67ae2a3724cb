"""Gradient accumulation, derived from the batch that the optimizer is to see."""

from __future__ import annotations

from collections.abc import Sized

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info


def accumulation_steps(global_batch_size: int, batch_size: int, num_devices: int) -> int:
    """Batches per optimizer step: global batch = devices x batch x accumulation.

    Raises:
        ValueError: If it does not divide.

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
    fitting = max(size for size in range(1, min(batch_size, share) + 1) if share % size == 0)
    return f"data.batch_size={fitting} would do."


def micro_batch_weight(
    num_clips: int, batch_idx: int, *, batch_size: int, accumulation: int, clips_per_epoch: int, num_processes: int = 1
) -> float:
    """Weight of one batch's mean loss that makes every clip of an optimizer step count the same.

    Lightning divides each loss by the accumulation, and gradients are averaged over the processes. At the end of an
    epoch, where fewer batches or shorter ones are left, that alone would shrink the gradient and favor the clips of
    the short batches.

    Args:
        num_clips: Clips in this batch.
        batch_idx: Position of the batch in the epoch of this process, from 0.
        batch_size: Clips in a full batch.
        accumulation: Batches of a process in a full optimizer step.
        clips_per_epoch: Clips that all processes together see in an epoch.
        num_processes: How many take part.

    Returns:
        1 for a full batch of a full step.

    Example:
        >>> micro_batch_weight(2, 2, batch_size=4, accumulation=2, clips_per_epoch=10)  # alone in the last step
        2.0
    """
    clips_before = batch_idx // accumulation * accumulation * batch_size * num_processes
    clips_in_step = min(accumulation * batch_size * num_processes, clips_per_epoch - clips_before)
    return num_clips * accumulation * num_processes / max(clips_in_step, num_clips)


def loss_weight(trainer: Trainer, num_clips: int, batch_idx: int) -> float:
    """`micro_batch_weight` for the loader that a Trainer is reading; 1 where that loader has no length.

    A sampler that deals clips out unevenly says by `num_clips` how many there are in all.
    """
    loader = trainer.train_dataloader
    sampler, batch_size = getattr(loader, "sampler", None), getattr(loader, "batch_size", None)
    if not isinstance(sampler, Sized) or not batch_size:
        return 1.0
    in_all = getattr(sampler, "num_clips", len(sampler) * trainer.world_size)
    return micro_batch_weight(
        num_clips,
        batch_idx,
        batch_size=batch_size,
        accumulation=trainer.accumulate_grad_batches,
        clips_per_epoch=min(in_all, int(trainer.num_training_batches) * batch_size * trainer.world_size),
        num_processes=trainer.world_size,
    )


class GlobalBatchSize(Callback):
    """Sets the Trainer's accumulation so that the optimizer sees `datamodule.global_batch_size` clips a step.

    Raises:
        ValueError: At the start of training, if the global batch does not divide, or the Trainer was given another
            accumulation.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Derive the accumulation, before anything counts optimizer steps."""
        wanted = getattr(getattr(trainer, "datamodule", None), "global_batch_size", None)
        if stage != "fit" or wanted is None:
            return
        batch_size = trainer.datamodule.batch_size
        steps = accumulation_steps(wanted, batch_size, trainer.world_size)
        if trainer.accumulate_grad_batches not in (1, steps):
            raise ValueError(
                f"trainer.accumulate_grad_batches={trainer.accumulate_grad_batches} contradicts "
                f"data.global_batch_size={wanted}, which needs {steps}: leave one of the two out."
            )
        trainer.accumulate_grad_batches = steps
        rank_zero_info(
            f"Global batch of {wanted} clips = {trainer.world_size} device(s) x {batch_size} clips x {steps} batches."
        )
