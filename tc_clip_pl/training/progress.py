"""What a person sees of a run: one live line on a terminal, and one printed line per epoch everywhere.

Lightning's bars are cut at 120 columns, start anew for every validation and write control codes into files. rich draws
one line that fits the terminal, and nothing where there is none.
"""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar, TQDMProgressBar
from rich import get_console
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

TRAINING_METRICS = {"train/loss_epoch": "loss", "train/top1_epoch": "top-1"}
VALIDATION_METRICS = {"val/top1": "val top-1"}  # no loss: the line of an epoch has to fit into 80 columns

SECONDS_BETWEEN_READS = 0.5  # of the metrics that the live line shows


class EpochSummary(Callback):
    """Prints one line per training epoch: loss, accuracy, validation if there was one, videos/s and time left.

    It does not depend on the progress bar, so it also prints with `--trainer.enable_progress_bar false`.
    """

    def __init__(self) -> None:
        self._run_began = self._epoch_began = self._epoch_ended = 0.0  # seconds of the monotonic clock
        self._first_epoch = 0
        self._videos = 0
        self._validated = False
        self._title = self._pending = ""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of the run; a resumed run estimates the time left from its own epochs."""
        self._run_began, self._first_epoch = time.monotonic(), trainer.current_epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the previous epoch: its metrics are averaged over all processes only after every other hook."""
        self._print(trainer)
        self._epoch_began, self._videos, self._validated = time.monotonic(), 0, False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the videos of this process."""
        self._videos += len(batch.video_id)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the epoch's clock: validation is not training speed."""
        self._epoch_ended = time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember that this epoch has validation metrics; `callback_metrics` keeps those of earlier epochs too."""
        self._validated = not trainer.sanity_checking
        if trainer.state.fn == "validate":  # no epoch follows whose line could show them
            print_line(trainer, "validation", _describe_metrics(trainer, {"val/loss": "loss", "val/top1": "top-1"}))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure the epoch; the line waits for its metrics."""
        now = time.monotonic()
        seconds = max((self._epoch_ended if self._validated else now) - self._epoch_began, 1e-9)
        parts = [format_speed(self._videos * trainer.world_size / seconds)]
        epochs = trainer.current_epoch + 1 - self._first_epoch
        remaining = (trainer.max_epochs or 0) - trainer.current_epoch - 1
        if remaining > 0:  # not after the last one, nor with an open end (-1)
            parts.append(f"{format_seconds((now - self._run_began) / epochs * remaining)} left")
        self._pending = "  ".join(parts)
        self._title = epoch_title(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the last epoch."""
        self._print(trainer)

    def _print(self, trainer: Trainer) -> None:
        if not self._pending:
            return
        shown = {**TRAINING_METRICS, **(VALIDATION_METRICS if self._validated else {})}
        print_line(trainer, self._title, _describe_metrics(trainer, shown), self._pending)
        self._pending = ""


class LiveProgress(ProgressBar):
    """One line that shows how far the current epoch or pass is; nothing where stdout is no terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._is_enabled = True
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._reads_next = 0.0

    def disable(self) -> None:
        """Draw nothing; Lightning calls this on every process but the first."""
        self._is_enabled = False

    def enable(self) -> None:
        """Draw again."""
        self._is_enabled = True

    def _start(self, title: str, batches: float) -> None:
        self._stop()  # a validation inside an epoch takes over the line
        console = get_console()
        if not self._is_enabled or not console.is_terminal or console.is_dumb_terminal:
            return
        self._progress, self._reads_next = build_progress(console), 0.0
        # An iterable dataset has no length; rich then pulses instead of counting.
        self._task = self._progress.add_task(title, total=batches if batches != float("inf") else None, metrics="")
        self._progress.start()

    def _advance(self, metrics: str | None = None) -> None:
        if self._progress is not None:
            shown = {} if metrics is None else {"metrics": metrics}
            self._progress.update(self._task, advance=1, **shown)

    def _stop(self, *_: Any) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the line of an epoch."""
        self._start(epoch_title(trainer), self.total_train_batches)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Advance it, with the loss of the last optimizer step, the speed, and the share of time spent waiting."""
        now = time.monotonic()
        if self._progress is None or now < self._reads_next:
            self._advance()
            return
        self._reads_next = now + SECONDS_BETWEEN_READS
        metrics = trainer.callback_metrics
        loss, speed = metrics.get("train/loss_step"), metrics.get("train/videos_per_second")
        waiting = metrics.get("train/data_wait_share")
        shown = [f"loss {float(loss):.3g}"] if loss is not None else []  # waits until a GPU has done the step
        shown += [format_speed(float(speed))] if speed is not None else []
        shown += [f"wait {100 * float(waiting):.0f}%"] if waiting is not None else []
        self._advance("  ".join(shown))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the line of a validation."""
        batches = trainer.num_sanity_val_batches if trainer.sanity_checking else trainer.num_val_batches
        self._start("sanity check" if trainer.sanity_checking else "validation", _total(batches))

    # Not at the start of the test or prediction, where other callbacks still say what they do.
    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw one line for all test sets."""
        self._start("test", _total(trainer.num_test_batches))

    def on_predict_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the line of a prediction."""
        self._start("prediction", _total(trainer.num_predict_batches))

    def _advance_evaluation(self, *_: Any) -> None:
        self._advance()

    on_validation_batch_end = on_test_batch_end = on_predict_batch_end = _advance_evaluation
    # Every printed line has the terminal to itself: the live one is gone before results or an error are printed.
    on_train_epoch_end = on_validation_end = on_test_end = on_predict_end = on_exception = _stop


def has_bar_of_lightning(trainer: Trainer) -> bool:
    """Return whether metrics are for a bar of Lightning's, which reads them in every batch and waits for the GPU."""
    return isinstance(trainer.progress_bar_callback, (RichProgressBar, TQDMProgressBar))


def build_progress(console: Console) -> Progress:
    """Build a progress line as wide as the console: title, bar, count, time left and metrics."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn())
    tail = (TimeRemainingColumn(compact=True), TextColumn("{task.fields[metrics]}"))
    return Progress(*columns, *tail, console=console, transient=True, expand=True)


def epoch_title(trainer: Trainer) -> str:
    """Return `epoch 3/25`, counted from 1, or `epoch 3` where the run has no last epoch."""
    number = f"epoch {trainer.current_epoch + 1}"
    return f"{number}/{trainer.max_epochs}" if trainer.max_epochs and trainer.max_epochs > 0 else number


def format_metric(key: str, value: float) -> str:
    """Return a metric as people read it: accuracies in percent, everything else with three digits.

    Example:
        >>> format_metric("val/top1", 0.5), format_metric("val/loss", 1.2345)
        ('50.0%', '1.23')
    """
    return f"{100 * value:.1f}%" if "top" in key else f"{value:.3g}"


def format_speed(speed: float) -> str:
    """Return a speed such as `8.3 videos/s`, or `136 videos/s` where decimals no longer matter."""
    return f"{speed:.0f} videos/s" if speed >= 100 else f"{speed:.1f} videos/s"


def format_seconds(seconds: float) -> str:
    """Return a duration as `m:ss`, or `h:mm:ss` from an hour.

    Example:
        >>> format_seconds(75), format_seconds(3675)
        ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _describe_metrics(trainer: Trainer, labels: dict[str, str]) -> str:
    found = ((label, key, trainer.callback_metrics.get(key)) for key, label in labels.items())
    return "  ".join(f"{label} {format_metric(key, float(value))}" for label, key, value in found if value is not None)


def print_line(trainer: Trainer, *parts: str) -> None:
    """Print a line of the parts that are not empty, on the first process only."""
    if trainer.is_global_zero:
        # soft_wrap: a line in a file is never broken; highlight and markup would color and interpret numbers.
        get_console().print("  ".join(filter(None, parts)), highlight=False, markup=False, soft_wrap=True)


def _total(batches: float | list[int | float]) -> float:
    return sum(batches) if isinstance(batches, list) else batches
