"""A callback that collects the clips that could not be read, for the report of a run."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from tc_clip_pl.training.distributed import gather_lists


class SkippedClips(Callback):
    """Collect the clips that the data module could not read and skipped, from all processes.

    Attributes:
        clips: The keys are "path: reason", in order of first appearance (a dict, as an ordered set).
    """

    def __init__(self) -> None:
        self.clips: dict[str, None] = {}

    def _collect(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *_: Any) -> None:
        self.clips.update(dict.fromkeys(getattr(batch, "skipped", ())))

    on_train_batch_end = on_validation_batch_end = on_test_batch_end = on_predict_batch_end = _collect

    def _gather(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # Once at the end of a run: after an error, the other processes may not be there to take part.
        self.clips = dict.fromkeys(gather_lists(list(self.clips)))

    on_train_end = on_validation_end = on_test_end = on_predict_end = _gather

    def report(self) -> str | None:
        """Return the number of skipped clips and the clips, one a line; None if there are none."""
        if not self.clips:
            return None
        return "\n  ".join([f"{len(self.clips)} clip(s) could not be read and were skipped:", *self.clips])
