"""A model as two programs without this package: frames to embeddings, and class names to embeddings.

The text side takes the tokens that the video side gives, because with video-conditional prompting class names are read
differently for every video (Eq. 15).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tc_clip_pl.modules.backbone.interface import token_embedding
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.ops.frame_pooling import pool_frames

POOLING = "mean_embedding"
"""The frame pooling whose logits are a cosine of one embedding per video."""


class VideoSide(nn.Module):
    """Frames to the embedding of the video, and to the tokens that the prompting reads, if it reads any."""

    def __init__(self, model: TCCLIP) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor) -> tuple[Tensor, ...]:
        """(B, T, 3, H, W) normalized pixels to (B, E) unit-norm embeddings and (B, R, E) vision tokens."""
        encoding = self.model.vision_model(video)
        video_embeds = pool_frames(self.model.visual_projection(encoding.cls_tokens))
        if encoding.prompting_tokens is None:
            return (video_embeds,)
        return video_embeds, self.model.visual_projection(encoding.prompting_tokens)


class TextSide(nn.Module):
    """Token ids of class names, and the vision tokens of videos if the prompting reads any, to embeddings."""

    def __init__(self, model: TCCLIP) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, vision_tokens: Tensor | None = None) -> Tensor:
        """(Y, L) int64 and (B, R, E) to unit-norm (Y, E), or (B, Y, E) if they depend on the videos."""
        model = self.model
        eos = (input_ids == model.config.text_config.eos_token_id).int().argmax(1) + model.config.num_added_tokens
        embeds = token_embedding(model.text_model)(input_ids)
        if model.prompt_learner is not None:
            embeds = model.prompt_learner(embeds)
        side = model._text_side()
        embeds = model.prompting.condition(side, model.prompting.encode(side, embeds, eos), vision_tokens)
        return torch.nn.functional.normalize(embeds, dim=-1)


def padded_input_ids(model: TCCLIP) -> Tensor:
    """Return the (Y, L) token ids of the model's classes, padded to the longest text that it takes."""
    length = model.config.text_config.max_position_embeddings - model.config.num_added_tokens
    ids = model.class_input_ids
    return torch.nn.functional.pad(ids, (0, length - ids.shape[1]))
