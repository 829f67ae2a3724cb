"""Callbacks that log a scalar during training: the speed and the gradient norm.

To add a scalar, write a callback here that calls ``pl_module.log("train/NAME", value, batch_size=1)`` in a hook, and
list it under `callbacks` in `configs/defaults.yaml`. The loss and the accuracies are logged by `module.py`.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from tc_clip_pl.training.device_clock import Moment, now, take_past
from tc_clip_pl.training.distributed import gradient_norm
from tc_clip_pl.training.progress import has_bar_of_lightning


class SpeedMonitor(Callback):
    """Log videos per second over all devices, and the share of the time that the device waits for the next batch.

    A GPU is usually behind the host, so its own clock tells both, some batches later.

    Not Lightning's `ThroughputMonitor`: it waits for the GPU after every batch, never reaches the progress bar, reports
    nothing until its window is full (few-shot epochs are shorter) and rejects batches without clips.

    Args:
        window: Number of recent batches to average over.
    """

    def __init__(self, window: int = 20) -> None:
        self._batches: deque[tuple[int, float, float]] = deque(maxlen=window)  # videos, seconds waiting, working
        self._unread: deque[tuple[int, Moment, Moment, Moment]] = deque()  # videos, end before, arrival, end
        self._previous_end: Moment | None = None
        self._start = Moment(0.0)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock anew, so that validation and checkpoints between two epochs do not count as waiting."""
        self._previous_end = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Take over when the batch arrived, which is before it was copied and augmented."""
        arrived = getattr(pl_module, "batch_arrived", None)
        # A data module with an `on_before_batch_transfer` of its own takes the place of the module's.
        is_new = arrived is not None and (self._previous_end is None or arrived.seconds > self._previous_end.seconds)
        self._start = arrived if is_new else now(getattr(pl_module, "device", None))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the batches that the device has done to the window, and log."""
        end = now(getattr(pl_module, "device", None))
        # The first batch of an epoch only starts the clock: its wait is the start-up of the workers.
        if self._previous_end is not None:
            self._unread.append((len(batch.video_id), self._previous_end, self._start, end))
        self._previous_end = end
        for videos, before, start, end in take_past(self._unread):
            self._batches.append((videos, before.seconds_until(start), start.seconds_until(end)))
        if self._batches:
            for name, value in self.compute(trainer.world_size).items():
                # As a tensor: Lightning would copy a number to the GPU, and wait for it.
                options = {"prog_bar": has_bar_of_lightning(trainer), "batch_size": 1}
                pl_module.log(f"train/{name}", torch.tensor(value), **options)

    def compute(self, world_size: int = 1) -> dict[str, float]:
        """Return `videos_per_second` and `data_wait_share`, in [0, 1], over the window."""
        videos, waited, worked = (sum(column) for column in zip(*self._batches, strict=True))
        seconds = max(waited + worked, 1e-9)
        # Scaled rather than summed over the processes: they run in step, and a collective here would slow each batch.
        return {"videos_per_second": world_size * videos / seconds, "data_wait_share": waited / seconds}


class GradientNorm(Callback):
    """Log the L2 norm of all gradients, before clipping, whenever the Trainer logs."""

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Log train/grad_norm."""
        # The norm of a sharded model is a collective; the condition is the same on every process.
        if trainer.global_step % trainer.log_every_n_steps == 0:
            pl_module.log("train/grad_norm", gradient_norm(pl_module), batch_size=1)
