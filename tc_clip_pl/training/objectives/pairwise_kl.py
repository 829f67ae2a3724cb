"""A contrastive loss of the videos of a batch and the texts of their classes: OST."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from torch import Tensor

from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.training.objectives.base import Objective, StepResult
from tc_clip_pl.training.objectives.gather import gather_rows

MATCH = 10.0
"""Logit of a match in the targets."""


class PairwiseKL(Objective):
    """Every video brings the texts of its class, and each is told from the others of the batch, in both directions.

    The batch is that of all processes, but not of several accumulated ones: an optimizer step of more batches averages
    their losses, so the result depends on `data.batch_size` times the number of processes (32 in OST). Any TC-CLIP
    whose texts do not depend on the video can be trained with it.
    """

    spans_processes: ClassVar[bool] = True

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
        label, count = batch.label, len(batch.label)
        if not count:  # the other processes wait for this one
            video, label = video.new_zeros(1, *video.shape[1:]), label.new_zeros(1, dtype=torch.int64)
        # One text per video, not per class of the batch: compiled encoders want the same shape in every step.
        with model.other_texts(*model.texts_of(label)):
            output = model(video)
        frames, texts, label = (
            gather_rows(rows[:count]) for rows in (output.frame_embeds, output.text_embeds, label)
        )
        logits = model.pool_logits(frames, texts, model.logit_scale)
        return StepResult(pairwise_kl(logits, label) if len(label) else logits.sum(), None)


def pairwise_kl(logits: Tensor, label: Tensor) -> Tensor:
    """Return the divergences of matches from the softmax over texts and from the softmax over videos, added.

    Args:
        logits: (B, B), row i for video i, column j for the texts of the class of video j.
        label: (B,) class ids.
    """
    targets = (MATCH * (label[:, None] == label).to(logits.dtype)).softmax(-1)
    directions = (F.kl_div(scores.log_softmax(-1), targets, reduction="batchmean") for scores in (logits, logits.T))
    return sum(directions)
