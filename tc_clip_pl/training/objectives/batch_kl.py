"""ActionCLIP's loss: every clip of the batch finds the texts of its class among those of all, and every text its clips.

Equations 1 to 3 of Wang et al., 2021: the symmetric KL divergence of the softmax over the batch from a target that is
nearly even over the pairs of one class.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.ops.precision import without_autocast
from tc_clip_pl.training.objectives.base import Objective, StepResult
from tc_clip_pl.training.objectives.gather import at_least_one, gather_rows, refuse_accumulation

SHARPNESS = 10.0
"""Scale of the targets before their softmax: a pair of one class has e^10 times the share of another pair."""


def symmetric_kl(logits: Tensor, label: Tensor) -> Tensor:
    """Compute the mean of the KL divergences of rows and of columns.

    Args:
        logits: (B, B), scaled similarity of video i and the text of sample j.
        label: (B,) class ids.

    Returns:
        The loss, at least 0; 0 for an empty batch.
    """
    with without_autocast(logits):
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        log_target = (SHARPNESS * (label[:, None] == label).to(logits.dtype)).log_softmax(-1)
        divergences = [log_target.exp() * (log_target - z.log_softmax(-1)) for z in (logits, logits.T)]
        return sum(divergence.sum() for divergence in divergences) / (2 * max(len(label), 1))


class BatchKL(Objective):
    """Symmetric KL divergence over the pairs of the whole batch, on all processes.

    ActionCLIP pairs each clip with a sentence about its class. Any other system gives the text of sample j its score of
    the class of sample j.
    """

    spans_processes: ClassVar[bool] = True

    def prepare(self, model: VideoCLIP, trainer: Trainer) -> None:
        """Refuse batches that are accumulated: the loss needs all their pairs at once."""
        refuse_accumulation(self, trainer)
        self.scores_classes = not model.pairs_clips_with_texts

    def forward(self, model: VideoCLIP, video: Tensor, batch: Any, label_smoothing: float) -> StepResult:
        """Compute the loss of all clips on all processes; it is the same on each.

        Raises:
            ValueError: If labels are mixed or smoothed.
        """
        self.refuse_soft_targets(batch.label)
        self.refuse_smoothing(label_smoothing)
        # A process whose clips were all skipped runs the model too, so that it joins every collective.
        count, video, label = len(video), at_least_one(video), at_least_one(batch.label).long()
        labels = gather_rows(label[:count])
        if model.pairs_clips_with_texts:
            output = model(video, label)
            videos, texts = (gather_rows(rows[:count]) for rows in (output.video_embeds, output.text_embeds))
            with without_autocast(videos):
                return StepResult(symmetric_kl(model.logit_scale.exp() * videos @ texts.T, labels), None)
        scores = model(video).logits.float()[:count]
        return StepResult(symmetric_kl(gather_rows(scores)[:, labels], labels), scores)
