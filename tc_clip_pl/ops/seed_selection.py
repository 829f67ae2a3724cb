"""Informative token selection: the seeds of every frame (Sec. 2.3, Eq. 5, and Table 8a).

Every choice takes the attention of the layer and gives (B, T, S) patch indices in descending order of score. A new one
is a function of that form, registered under a name.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from tc_clip_pl.ops.frame_attention import FrameAttention
from tc_clip_pl.registry import Registry

SeedSelector = Callable[[FrameAttention, int, bool], Tensor]
SEED_SELECTORS: Registry[SeedSelector] = Registry("seed_selection")


def count_seeds(num_patches: int, seed_ratio: float) -> int:
    """Seeds per frame, ``n_s = int(N * alpha)`` (Sec. 2.3).

    >>> count_seeds(196, 0.3)
    58
    """
    return int(num_patches * seed_ratio)


@SEED_SELECTORS.register("averaged_cls_attention", reads=("seed_ratio",))
def averaged_cls_attention(attention: FrameAttention, num_seeds: int, training: bool) -> Tensor:
    """The patches that [CLS] attends to most, averaged over heads: the paper's choice."""
    return top_seeds(attention.cls_attention().mean(2), num_seeds)


@SEED_SELECTORS.register("head_wise_cls_attention", reads=("seed_ratio",))
def head_wise_cls_attention(attention: FrameAttention, num_seeds: int, training: bool) -> Tensor:
    """The patches that single heads of [CLS] attend to most; see `top_of_any_head`."""
    return top_of_any_head(attention.cls_attention(), num_seeds)


@SEED_SELECTORS.register("averaged_key_norm", reads=("seed_ratio",))
def averaged_key_norm(attention: FrameAttention, num_seeds: int, training: bool) -> Tensor:
    """The patches with the longest keys, averaged over heads."""
    return top_seeds(attention.key_norms().mean(2), num_seeds)


@SEED_SELECTORS.register("head_wise_key_norm", reads=("seed_ratio",))
def head_wise_key_norm(attention: FrameAttention, num_seeds: int, training: bool) -> Tensor:
    """The patches with the longest keys of single heads; see `top_of_any_head`."""
    return top_of_any_head(attention.key_norms(), num_seeds)


@SEED_SELECTORS.register("patch_saliency", reads=("seed_ratio",))
def patch_saliency(attention: FrameAttention, num_seeds: int, training: bool) -> Tensor:
    """The patches that attend most sharply (`FrameAttention.saliency`)."""
    return top_seeds(attention.saliency(), num_seeds)


@SEED_SELECTORS.register("ats", reads=("seed_ratio",))
def ats(attention: FrameAttention, num_seeds: int, training: bool) -> Tensor:
    """Adaptive token sampling: inverse-transform sampling of [CLS] attention weighted by the norms of the values.

    S points of [0, 1], evenly spread at evaluation and drawn uniformly in training, each pick the patch in whose
    step of the cumulative score they fall. Patches picked twice leave room, which goes to the best of
    those not picked, so that the budget is kept.
    """
    scores = (attention.cls_attention() * attention.value_norms()).mean(2)  # (B, T, P)
    cumulative = (scores / scores.sum(-1, keepdim=True)).cumsum(-1)
    shape = (*scores.shape[:2], num_seeds)
    grid = ((torch.arange(num_seeds, device=scores.device) + 0.5) / num_seeds).to(scores.dtype).expand(shape)
    points = torch.rand(shape, device=scores.device, dtype=scores.dtype) if training else grid.contiguous()
    picked = torch.searchsorted(cumulative, points).clamp_max(scores.shape[-1] - 1)
    first = torch.zeros_like(scores).scatter(-1, picked, scores.amax(-1, keepdim=True).expand(shape).contiguous())
    return top_seeds(scores + first, num_seeds)  # every picked patch comes before every other


@SEED_SELECTORS.register("none")
def no_selection(attention: FrameAttention, num_seeds: int, training: bool) -> Tensor:
    """All patches, as they lie in the frame."""
    batch, frames = attention.query.shape[:2]
    return torch.arange(num_seeds, device=attention.query.device).expand(batch, frames, -1)


def top_seeds(scores: Tensor, num_seeds: int) -> Tensor:
    """Indices of the S largest of (B, T, P) scores, in descending order, (B, T, S)."""
    return scores.topk(num_seeds, dim=-1).indices


def top_of_any_head(scores: Tensor, num_seeds: int) -> Tensor:
    """The union of the heads' choices at the same budget.

    Each head ranks the patches; a patch's place is the best of its ranks, and the S patches with the best places are
    taken: first every head's first choice, then every second choice, until the budget is full. Equal places are
    decided by the score averaged over heads.

    Args:
        scores: (B, T, H, P), not negative.
        num_seeds: S.

    Returns:
        (B, T, S) patch indices.
    """
    ranks = scores.argsort(dim=-1, descending=True, stable=True).argsort(-1).amin(2)  # (B, T, P)
    mean = scores.mean(2)
    ties = 0.5 * mean / mean.amax(-1, keepdim=True).clamp_min(torch.finfo(mean.dtype).tiny)  # below 1, a rank's step
    return top_seeds(ties - ranks, num_seeds)
