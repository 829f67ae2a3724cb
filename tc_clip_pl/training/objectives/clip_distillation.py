"""Cross-entropy while a frozen CLIP teaches both encoders: FROSTER."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from torch import Tensor, nn

from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.loading import check_same_clip, load_clip
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.ops.precision import without_autocast
from tc_clip_pl.training.objectives.base import Objective, StepResult


class ResidualProjection(nn.Module):
    """``x + ratio * A2 GELU(A1 x)``, which starts as x: A1 is drawn from Kaiming's normal distribution, A2 is zero.

    Args:
        dim: E, the width of the joint space.
        ratio: Weight of the learned part.
    """

    def __init__(self, dim: int, ratio: float) -> None:
        super().__init__()
        self.first, self.second = (nn.Linear(dim, dim, bias=False) for _ in range(2))
        nn.init.kaiming_normal_(self.first.weight)
        nn.init.zeros_(self.second.weight)
        self.ratio = ratio

    def forward(self, embeds: Tensor) -> Tensor:
        """(..., E) to (..., E)."""
        return embeds + self.ratio * self.second(F.gelu(self.first(embeds)))


class ClipDistillation(Objective):
    """Cross-entropy, plus how far the embeddings are from those of the CLIP that the model was made from.

    With the unit frame embeddings v and class embeddings w of the model, those of CLIP u and z, from the same frames
    and the same texts, and a residual projection P for images and one for texts, the loss is ``cross-entropy + weight *
    ((1 - mean cos(P(v), u)) + (1 - mean cos(P(w), z)))``. The projections learn with the model and serve training only.
    CLIP attends within frames. It stays out of the module tree: nothing trains or saves it.

    The model's output needs `frame_embeds` (B, T, E) and `text_embeds` (..., Y, E).

    Args:
        weight: Weight of the distillation, above 0.
        residual: Weight of the learned part of the projections, at least 0.

    Attributes:
        project_image: P of frame embeddings; None until `prepare`, which knows their width.
        project_text: P of class embeddings.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(self, weight: float = 2.0, residual: float = 0.1) -> None:
        super().__init__()
        if not 0 < weight < float("inf"):
            raise ValueError(f"ClipDistillation.weight is {weight:g}; it must be above 0.")
        if not 0 <= residual < float("inf"):
            raise ValueError(f"ClipDistillation.residual is {residual:g}; it must be at least 0.")
        self.weight, self.residual = weight, residual
        self.project_image: ResidualProjection | None = None
        self.project_text: ResidualProjection | None = None
        self._teacher: tuple[TCCLIP, ...] = ()
        self._taught: Tensor | None = None  # the token ids that the teacher has encoded

    def prepare(self, model: VideoCLIP, trainer: Trainer) -> None:
        """Load CLIP, and make the projections.

        Raises:
            ValueError: If the model is sharded or does not know its CLIP, or another one is there now.
            OSError: If that CLIP is gone.
        """
        self.refuse_sharding(trainer)
        self._teacher = (_build_teacher(model.config),)
        self.project_image, self.project_text = (
            ResidualProjection(model.config.projection_dim, self.residual) for _ in range(2)
        )

    def forward(self, model: VideoCLIP, video: Tensor, batch: Any, label_smoothing: float) -> StepResult:
        """Compute the loss of a batch."""
        output = model(video)
        logits = output.logits.float()
        loss = F.cross_entropy(logits, batch.label, label_smoothing=label_smoothing)
        images, texts = self.teach(video, model.encoded_texts[0])
        image = _cosine_distance(self.project_image(F.normalize(output.frame_embeds, dim=-1)), images)
        text = _cosine_distance(self.project_text(F.normalize(output.text_embeds, dim=-1)), texts)
        return StepResult(loss + self.weight * (image + text), logits)

    @torch.no_grad()
    def teach(self, video: Tensor, input_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Compute CLIP's embeddings of any norm.

        Args:
            video: (B, T, 3, H, W), normalized.
            input_ids: (Y, L) token ids, or (S, Y, L) for S texts per class, whose directions are averaged.

        Returns:
            (B, T, E) of frames and (Y, E) of classes.
        """
        (teacher,) = self._teacher
        if teacher.device != video.device or input_ids is not self._taught:  # the same texts are encoded once
            teacher.to(video.device).set_class_tokens(input_ids.reshape(-1, *input_ids.shape[-2:]))
            self._taught = input_ids
        output = teacher(video)
        return output.frame_embeds, output.text_embeds


def _build_teacher(config: Any) -> TCCLIP:
    """Build the CLIP of a configuration as a frozen model of videos, which attends within frames.

    Raises:
        ValueError: If the configuration does not know its CLIP, or another one is there now.
        OSError: If that CLIP is gone.
    """
    if config.clip_name_or_path is None:
        raise ValueError("ClipDistillation needs the CLIP of the model: set `config.clip_name_or_path`.")
    clip = load_clip(config.clip_name_or_path)
    check_same_clip(config, clip.state_dict())
    options = {"model_type": TCCLIPConfig.model_type, "reference_tokens": "none", "prompting": "template_ensemble"}
    teacher = TCCLIP.from_clip(clip, TCCLIPConfig.from_dict({**clip.config.to_dict(), **options}))
    return teacher.eval().requires_grad_(False)


def _cosine_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Compute ``1 - mean cos(student, teacher)`` in float32 or better."""
    with without_autocast(student):
        dtype = torch.promote_types(student.dtype, torch.float32)
        return 1 - F.cosine_similarity(student.to(dtype), teacher.to(dtype), dim=-1).mean()
