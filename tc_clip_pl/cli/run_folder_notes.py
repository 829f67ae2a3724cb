"""Says where a run writes, how to resume it after Ctrl-C, and leaves no empty folder where it fails to start."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

STARTED_BY_ITSELF = ("events.out.tfevents.*", "hparams.yaml", "config.yaml")
"""Files that a run folder holds before anything has been computed."""


class RunFolderNotes(Callback):
    """Prints the run's folder at its start, and the command that resumes training after Ctrl-C.

    Args:
        argv: The subcommand and its options.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self.argv = list(argv)
        self._announced = False
        self._has_computed = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Print the run's folder once: the test after `fit` has the same."""
        folder = trainer.log_dir or trainer.default_root_dir  # a collective call: before the question of the rank
        if trainer.is_global_zero and not self._announced:
            print(f"Output folder: {folder}", flush=True)
        self._announced = True

    def _note_batch(self, *_: object) -> None:
        self._has_computed = True

    on_train_batch_start = on_validation_batch_start = on_test_batch_start = on_predict_batch_start = _note_batch

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove a folder in which nothing was computed; after Ctrl-C, print how to resume."""
        if not trainer.is_global_zero:
            return
        if not self._has_computed:
            remove_unused_folder(trainer)
        if isinstance(exception, KeyboardInterrupt):
            print(f"\nInterrupted. {self._how_to_resume(trainer)}".rstrip(), file=sys.stderr, flush=True)

    def _how_to_resume(self, trainer: Trainer) -> str:
        if self.argv[0] != "fit":
            return ""
        trainer.strategy.checkpoint_io.teardown()  # the last one may still be being written
        folders = [Path(c.dirpath) for c in trainer.checkpoint_callbacks if getattr(c, "dirpath", None)]
        last = next((folder / "last.ckpt" for folder in folders if (folder / "last.ckpt").is_file()), None)
        if last is None:
            return "There is no checkpoint yet: the same command starts again."
        return f"Resume with:\n  {resume_command(self.argv, last)}"


def resume_command(argv: Sequence[str], checkpoint: Path) -> str:
    """Return the command line that resumes a run from a checkpoint, quoted for a shell.

    Example:
        >>> resume_command(["fit", "--config", "my run.yaml", "--ckpt_path", "old.ckpt"], Path("last.ckpt"))
        "tcclip fit --config 'my run.yaml' --ckpt_path last.ckpt"
    """
    kept, remaining = [], iter(argv)
    for argument in remaining:
        if argument == "--ckpt_path":
            next(remaining, None)
        elif not argument.startswith("--ckpt_path="):
            kept.append(argument)
    return shlex.join(["tcclip", *kept, "--ckpt_path", str(checkpoint)])


def remove_unused_folder(trainer: Trainer) -> None:
    """Remove the run's folder if it holds no more than what a run writes before it computes anything."""
    for logger in trainer.loggers:
        logger.finalize("failed")  # closes its files: a writer that flushes later would fail
    folder = Path(trainer.log_dir) if trainer.log_dir else None
    if folder is None or not folder.is_dir():
        return
    own = {path for pattern in STARTED_BY_ITSELF for path in folder.glob(pattern)}
    if set(folder.iterdir()) <= own:  # a folder with anything else is somebody's
        for path in own:
            path.unlink()
        folder.rmdir()
