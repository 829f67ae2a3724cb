"""Video-text similarity (Sec. 2.1, Eqs. 1-3)."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tc_clip_pl.ops.precision import without_autocast


def pool_frames(frame_embeds: Tensor) -> Tensor:
    """Video embeddings: the mean over frames, scaled to unit length.

    Args:
        frame_embeds: (B, T, E).

    Returns:
        (B, E), unit norm.
    """
    return normalize(frame_embeds.mean(dim=1), dim=-1)


def cosine_logits(video_embeds: Tensor, text_embeds: Tensor, logit_scale: Tensor) -> Tensor:
    """``exp(logit_scale) * cos(video, text)``, in float32 or better.

    Args:
        video_embeds: (B, E), unit norm.
        text_embeds: (B, Y, E), of any norm: each video has its own text embeddings. (Y, E) serves all videos alike.
        logit_scale: (), the logarithm of the inverse temperature.

    Returns:
        (B, Y).
    """
    with without_autocast(video_embeds):
        dtype = torch.promote_types(video_embeds.dtype, torch.float32)
        text = normalize(text_embeds.to(dtype), dim=-1)
        return logit_scale.exp().to(dtype) * (text @ video_embeds.to(dtype).unsqueeze(-1)).squeeze(-1)
