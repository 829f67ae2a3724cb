"""Informative token selection: the seeds of every frame (Sec. 2.3, Eq. 5, and Table 8a).

Every choice takes the attention of the layer, the number of seeds S per frame and whether the model is training; it
returns (B, T, S) patch indices. They are in descending order of score, because bipartite matching depends on the order:
it splits the seeds into two sets by position (`ops/aggregation/bipartite.py`). A new choice is a function of this form,
registered under a name or given by its import path.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from tc_clip_pl.ops.frame_attention import FrameAttention
from tc_clip_pl.registry import Registry

SeedSelector = Callable[[FrameAttention, int, bool], Tensor]
SEED_SELECTORS: Registry[SeedSelector] = Registry("seed_selection")


def count_seeds(num_patches: int, seed_ratio: float) -> int:
    """Compute the seeds per frame, ``n_s = int(N * alpha)``, where N counts patches (Sec. 2.3).

    >>> count_seeds(196, 0.3)
    58
    """
    return int(num_patches * seed_ratio)


@SEED_SELECTORS.register("averaged_cls_attention", reads=("seed_ratio",))
def averaged_cls_attention(attention: FrameAttention, num_seeds: int, training: bool) -> Tensor:
    """Select the patches that [CLS] attends to most, averaged over heads: the paper's choice."""
    return top_seeds(attention.cls_attention().mean(2), num_seeds)


@SEED_SELECTORS.register("head_wise_cls_attention", reads=("seed_ratio",))
def head_wise_cls_attention(attention: FrameAttention, num_seeds: int, training: bool) -> Tensor:
    """Select the patches that single heads of [CLS] attend to most; see `top_of_any_head`."""
    return top_of_any_head(attention.cls_attention(), num_seeds)


@SEED_SELECTORS.register("averaged_key_norm", reads=("seed_ratio",))
def averaged_key_norm(attention: FrameAttention, num_seeds: int, training: bool) -> Tensor:
    """Select the patches with the longest keys, averaged over heads."""
    return top_seeds(attention.key_norms().mean(2), num_seeds)


@SEED_SELECTORS.register("head_wise_key_norm", reads=("seed_ratio",))
def head_wise_key_norm(attention: FrameAttention, num_seeds: int, training: bool) -> Tensor:
    """Select the patches with the longest keys of single heads; see `top_of_any_head`."""
    return top_of_any_head(attention.key_norms(), num_seeds)


@SEED_SELECTORS.register("patch_saliency", reads=("seed_ratio",))
def patch_saliency(attention: FrameAttention, num_seeds: int, training: bool) -> Tensor:
    """Select the patches that attend most sharply (`FrameAttention.saliency`)."""
    return top_seeds(attention.saliency(), num_seeds)


@SEED_SELECTORS.register("ats", reads=("seed_ratio",))
def ats(attention: FrameAttention, num_seeds: int, training: bool) -> Tensor:
    """Sample patches by inverse transform (adaptive token sampling).

    The score of a patch is its [CLS] attention times the norm of its value. S points in [0, 1] each pick the patch into
    whose step of the cumulative score they fall: evenly spaced points at evaluation, uniformly drawn ones in training.
    Several points may pick the same patch. The seeds left over are the best of the other patches, so that there are
    always S.
    """
    scores = (attention.cls_attention() * attention.value_norms()).mean(2)  # (B, T, P)
    cumulative = (scores / scores.sum(-1, keepdim=True)).cumsum(-1)
    shape = (*scores.shape[:2], num_seeds)
    grid = ((torch.arange(num_seeds, device=scores.device) + 0.5) / num_seeds).to(scores.dtype).expand(shape)
    points = torch.rand(shape, device=scores.device, dtype=scores.dtype) if training else grid.contiguous()
    # Rounding may leave the last cumulative score just below 1, and a point beyond it.
    picked = torch.searchsorted(cumulative, points).clamp_max(scores.shape[-1] - 1)
    # Raised by the highest score, every picked patch ranks before every other.
    bonus = torch.zeros_like(scores).scatter(-1, picked, scores.amax(-1, keepdim=True).expand(shape).contiguous())
    return top_seeds(scores + bonus, num_seeds)


@SEED_SELECTORS.register("none")
def no_selection(attention: FrameAttention, num_seeds: int, training: bool) -> Tensor:
    """Select all patches, in their order in the frame."""
    batch, frames = attention.cls_query.shape[:2]
    return torch.arange(num_seeds, device=attention.cls_query.device).expand(batch, frames, -1)


def top_seeds(scores: Tensor, num_seeds: int) -> Tensor:
    """Select the S largest of (B, T, P) scores: (B, T, S) patch indices in descending order of score."""
    return scores.topk(num_seeds, dim=-1).indices


def top_of_any_head(scores: Tensor, num_seeds: int) -> Tensor:
    """Select the union of the heads' choices, S patches in all.

    Each head ranks the patches, and a patch counts by its best rank: first come the first choices of all heads, then
    their second choices, until there are S. The score averaged over heads decides between patches of equal rank.

    Args:
        scores: (B, T, H, P), not negative.
        num_seeds: S.

    Returns:
        (B, T, S) patch indices.
    """
    # The second argsort turns an order into ranks.
    ranks = scores.argsort(dim=-1, descending=True, stable=True).argsort(-1).amin(2)  # (B, T, P)
    mean = scores.mean(2)
    # At most one half, so that it never outweighs a rank.
    tie_breaker = 0.5 * mean / mean.amax(-1, keepdim=True).clamp_min(torch.finfo(mean.dtype).tiny)
    return top_seeds(tie_breaker - ranks, num_seeds)
