"""Callbacks that watch a run: speed, gradient norm, clips left out."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from tc_clip_pl.training.distributed import gather_lists, gradient_norm


class SpeedMonitor(Callback):
    """Logs videos per second over all devices, and the share of the time spent waiting for data.

    Args:
        window: Batches that both figures are taken over.
    """

    def __init__(self, window: int = 20) -> None:
        self.window = window
        self._forget()

    def _forget(self) -> None:
        self._batches: deque[tuple[int, float, float]] = deque(maxlen=self.window)  # videos, waiting, working (seconds)
        self._batch_ended: float | None = None
        self._batch_began = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave out what lies between two epochs: validation and checkpoints."""
        self._forget()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Note when the batch was there."""
        self._batch_began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the batch to the window; the first of an epoch only starts the clock, as the workers start then too."""
        now = time.perf_counter()
        if self._batch_ended is not None:
            waited, worked = self._batch_began - self._batch_ended, now - self._batch_began
            self._batches.append((len(batch.video_id), waited, worked))
            figures = self.figures(trainer.world_size)
            pl_module.log("train/videos_per_second", figures["videos_per_second"], prog_bar=True, batch_size=1)
            pl_module.log("train/data_wait_share", figures["data_wait_share"], batch_size=1)
        self._batch_ended = now

    def figures(self, world_size: int = 1) -> dict[str, float]:
        """Videos per second and the waiting share, in [0, 1], over the window."""
        videos, waited, worked = (sum(column) for column in zip(*self._batches, strict=True))
        seconds = max(waited + worked, 1e-9)
        return {"videos_per_second": world_size * videos / seconds, "data_wait_share": waited / seconds}


class GradientNorm(Callback):
    """Logs the L2 norm of all gradients together, before the optimizer uses them, whenever the Trainer logs."""

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Log train/grad_norm."""
        if trainer.global_step % trainer.log_every_n_steps == 0:
            pl_module.log("train/grad_norm", gradient_norm(pl_module), batch_size=1)


class SkippedClips(Callback):
    """Collects the clips that the data module could not read and left out, and lists them at the end of a run.

    Attributes:
        clips: "path: reason", each clip once, in the order met.
    """

    def __init__(self) -> None:
        self.clips: dict[str, None] = {}

    def _collect(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: Any) -> None:
        self.clips.update(dict.fromkeys(getattr(batch, "skipped", ())))

    on_train_batch_end = on_validation_batch_end = on_test_batch_end = on_predict_batch_end = _collect

    def _gather(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.clips = dict.fromkeys(gather_lists(list(self.clips)))

    on_train_end = on_validation_end = on_test_end = on_predict_end = _gather

    def report(self) -> str | None:
        """Return the clips left out, one per line below their number; None if there are none."""
        if not self.clips:
            return None
        return "\n  ".join([f"{len(self.clips)} clip(s) could not be read and were left out:", *self.clips])
