"""What a person sees of a training that is counted in steps: one live line, and a printed line per validation."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from tc_clip_pl.training.progress import LiveProgress, format_seconds, print_line


class StepProgress(LiveProgress):
    """One live line for all steps, validations included; each validation prints what it found and the time left."""

    def __init__(self) -> None:
        super().__init__()
        self._began = 0.0  # seconds of the monotonic clock

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the line, and start the clock."""
        self._began = time.monotonic()
        self._start("pre-training", trainer.max_steps)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Advance the line, with the loss of the step."""
        self._advance(f"loss {trainer.progress_bar_metrics['train/loss']:.3g}")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print step, loss, the mean accuracy over the questions, and the time left."""
        if trainer.state.fn != "fit":
            return
        metrics, done = trainer.callback_metrics, trainer.global_step
        left = (time.monotonic() - self._began) / done * (trainer.max_steps - done)
        held_out = [float(value) for key, value in metrics.items() if key.startswith("val/")]
        accuracy = f"held-out accuracy {100 * sum(held_out) / len(held_out):.1f}%"
        parts = [f"step {done}/{trainer.max_steps}", f"loss {float(metrics['train/loss']):.3g}", accuracy]
        print_line(trainer, *parts, f"{format_seconds(left)} left" if left else "")

    def _do_nothing(self, *_: Any) -> None:
        """Leave the line alone: it is one for all epochs and validations."""

    on_train_epoch_start = on_train_epoch_end = on_validation_start = on_validation_batch_end = _do_nothing
    on_train_end = LiveProgress._stop
