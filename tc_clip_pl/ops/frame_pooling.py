"""From frame embeddings to logits: where the mean over frames is taken.

Every choice takes frame embeddings (B, T, E) and text embeddings (B, Y, E), or (Y, E) where all videos share them, both
of any norm, and the logarithm of the inverse temperature; it returns (B, Y) logits.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tc_clip_pl.ops.cosine_logits import cosine_logits
from tc_clip_pl.ops.precision import without_autocast
from tc_clip_pl.registry import Registry

FramePooling = Callable[[Tensor, Tensor, Tensor], Tensor]
FRAME_POOLINGS: Registry[FramePooling] = Registry("frame_pooling")


def pool_frames(frame_embeds: Tensor) -> Tensor:
    """Average (B, T, E) frame embeddings and scale the mean to unit length: (B, E) video embeddings (Sec. 2.1)."""
    return normalize(frame_embeds.mean(dim=1), dim=-1)


@FRAME_POOLINGS.register("mean_embedding")
def mean_embedding(frame_embeds: Tensor, text_embeds: Tensor, logit_scale: Tensor) -> Tensor:
    """Compute the cosine of the mean frame embedding, ``s cos(mean_t f_t, w_y)``: the paper's choice."""
    return cosine_logits(pool_frames(frame_embeds), text_embeds, logit_scale)


@FRAME_POOLINGS.register("mean_cosine")
def mean_cosine(frame_embeds: Tensor, text_embeds: Tensor, logit_scale: Tensor) -> Tensor:
    """Compute the mean of the frames' cosines, ``s mean_t cos(f_t, w_y)``, as in Open-VCLIP.

    Long frame embeddings count no more than short ones.
    """
    with without_autocast(frame_embeds):
        dtype = torch.promote_types(frame_embeds.dtype, torch.float32)
        # The dot product with the text is linear, so the mean over frames can come first.
        unit_mean = normalize(frame_embeds.to(dtype), dim=-1).mean(dim=1)
    return cosine_logits(unit_mean, text_embeds, logit_scale)


@FRAME_POOLINGS.register("attention")
def attention(frame_embeds: Tensor, text_embeds: Tensor, logit_scale: Tensor) -> Tensor:
    """Weigh the frames of a video by their similarity to each class, without new parameters.

    With ``s = exp(logit_scale)``, frame embeddings ``f_t`` and the text embedding ``w_y``::

        a_ty = softmax over t of s cos(f_t, w_y)
        logit_y = s cos(sum_t a_ty f_t, w_y)

    Equal cosines weigh all frames alike, which is `mean_embedding`.
    """
    with without_autocast(frame_embeds):
        dtype = torch.promote_types(frame_embeds.dtype, torch.float32)
        frames, text = frame_embeds.to(dtype), normalize(text_embeds.to(dtype), dim=-1)
        scale = logit_scale.exp().to(dtype)
        cosines = text @ normalize(frames, dim=-1).transpose(1, 2)  # (B, Y, T)
        videos = (scale * cosines).softmax(-1) @ frames  # (B, Y, E), one embedding per class
        return scale * (normalize(videos, dim=-1) * text).sum(-1)
