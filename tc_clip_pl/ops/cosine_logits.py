"""Video-text similarity (Sec. 2.1)."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tc_clip_pl.ops.precision import without_autocast


def cosine_logits(video_embeds: Tensor, text_embeds: Tensor, logit_scale: Tensor) -> Tensor:
    """Compute ``exp(logit_scale) * <video, text / |text|>`` in float32 or better: the cosine for unit video embeddings.

    Args:
        video_embeds: (B, E), used as they are.
        text_embeds: (B, Y, E) of any norm, or (Y, E) where all videos share them.
        logit_scale: (), the logarithm of the inverse temperature.

    Returns:
        (B, Y) logits.
    """
    with without_autocast(video_embeds):
        dtype = torch.promote_types(video_embeds.dtype, torch.float32)
        text = normalize(text_embeds.to(dtype), dim=-1)
        return logit_scale.exp().to(dtype) * (text @ video_embeds.to(dtype).unsqueeze(-1)).squeeze(-1)
