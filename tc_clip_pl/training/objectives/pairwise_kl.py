"""A contrastive loss of the videos of a batch and the texts of their classes: OST."""

from __future__ import annotations

from typing import Any, ClassVar

from lightning.pytorch import Trainer
from torch import Tensor

from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.training.objectives.base import Objective, StepResult
from tc_clip_pl.training.objectives.batch_kl import symmetric_kl
from tc_clip_pl.training.objectives.gather import at_least_one, gather_rows


class PairwiseKL(Objective):
    """Every video brings the texts of its class, and each is told from the others of the batch, in both directions.

    The batch is that of all processes, but not of several accumulated ones: an optimizer step of more batches averages
    their losses, so the result depends on `data.batch_size` times the number of processes (32 in OST). Any TC-CLIP
    whose texts do not depend on the video can be trained with it.
    """

    spans_processes: ClassVar[bool] = True
    scores_classes: bool = False

    def prepare(self, model: VideoCLIP, trainer: Trainer) -> None:
        """Refuse a model whose texts cannot be compared with the videos of another process.

        Raises:
            ValueError: If it does.
        """
        if not isinstance(model, TCCLIP) or model.config.reads_vision:
            raise ValueError(
                "PairwiseKL compares every video with the texts of all others: train OST, or a TC-CLIP whose prompting "
                "is template, class_name or learnable."
            )

    def forward(self, model: TCCLIP, video: Tensor, batch: Any, label_smoothing: float) -> StepResult:
        """Compute the loss of the batch of all processes."""
        self.refuse_soft_targets(batch.label)
        self.refuse_smoothing(label_smoothing)
        # A process whose clips were all skipped runs the model too, so that it joins every collective.
        count, video, label = len(video), at_least_one(video), at_least_one(batch.label)
        # One text per video, not per class of the batch: compiled encoders want the same shape in every step.
        with model.other_texts(*model.texts_of(label)):
            output = model(video)
        rows = (output.frame_embeds, output.text_embeds, label)
        frames, texts, label = (gather_rows(of_process[:count]) for of_process in rows)
        logits = model.pool_logits(frames, texts, model.logit_scale)
        return StepResult(2 * symmetric_kl(logits, label), None)  # OST adds both directions
