"""Cross-entropy over the classes: TC-CLIP, ViFi-CLIP, X-CLIP, A5 and Vita-CLIP."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.training.objectives.base import Objective, StepResult


class CrossEntropy(Objective):
    """Smoothed cross-entropy with class ids or soft targets (Sec. 3.1)."""

    def forward(self, model: VideoCLIP, video: Tensor, batch: Any, label_smoothing: float) -> StepResult:
        """Compute the loss of a batch."""
        logits = model(video).logits.float()
        return StepResult(F.cross_entropy(logits, batch.label, label_smoothing=label_smoothing), logits)
