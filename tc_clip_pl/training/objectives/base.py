"""What a training step minimizes."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn

from tc_clip_pl.modules.video_clip import VideoCLIP


class StepResult(NamedTuple):
    """Result of an objective.

    Attributes:
        loss: Mean over the B clips of this process.
        logits: (B, Y) class scores for the training accuracy, or None where the objective scores no classes.
    """

    loss: Tensor
    logits: Tensor | None


class Objective(nn.Module):
    """A loss, with what it needs in training alone: a teacher, projections. Its parameters are trained too.

    A frozen model that should neither be trained nor saved is kept out of the module tree, for example in a tuple.

    Attributes:
        spans_processes: Whether processes exchange rows (`gather.py`): one whose clips were all skipped then calls the
            objective too, with B = 0.
        scores_classes: Whether a step has class scores, and so a training accuracy.
    """

    spans_processes: ClassVar[bool] = False
    scores_classes: bool = True

    def prepare(self, model: VideoCLIP, trainer: Trainer) -> None:
        """Get ready for training, before the optimizer is built.

        Args:
            model: The model that will be trained, with its first weights, not yet on its device.
            trainer: Says how batches are accumulated and distributed.

        Raises:
            ValueError: If this training would silently minimize something else.
        """

    def forward(self, model: VideoCLIP, video: Tensor, batch: Any, label_smoothing: float) -> StepResult:
        """Compute the loss of a batch.

        Args:
            model: The model, in training mode; its class names are set.
            video: (B, T, 3, H, W), normalized; B is at least 1, unless the objective `spans_processes`.
            batch: Has `label`, (B,) class ids or (B, Y) soft targets, and `video_id`.
            label_smoothing: Share of each target spread evenly over the classes.
        """
        raise NotImplementedError

    def refuse_soft_targets(self, label: Tensor) -> None:
        """Raise a ValueError if labels are mixed."""
        if label.ndim == 2:
            raise ValueError(
                f"{type(self).__name__} compares whole clips, which mixup and cutmix would blend: set "
                "data.augmentation.mix_probability to 0."
            )

    def refuse_sharding(self, trainer: Trainer) -> None:
        """Raise a ValueError if the weights will be sharded."""
        if isinstance(trainer.strategy, ModelParallelStrategy):
            raise ValueError(
                f"{type(self).__name__} needs whole weights, and trainer.strategy shards them: set it to ddp."
            )

    def refuse_smoothing(self, label_smoothing: float) -> None:
        """Raise a ValueError if targets are smoothed."""
        if label_smoothing:
            raise ValueError(f"{type(self).__name__} has no classes to smooth over: set model.label_smoothing to 0.")
