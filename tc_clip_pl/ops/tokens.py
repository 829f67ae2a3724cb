"""Picking tokens by index, and averaging them by group."""

import torch
from torch import Tensor

from tc_clip_pl.ops.precision import without_autocast


def gather_tokens(tokens: Tensor, indices: Tensor) -> Tensor:
    """Pick tokens along the second-to-last dimension.

    Args:
        tokens: (..., N, D).
        indices: (..., S) int64, values in [0, N).

    Returns:
        (..., S, D), in the order of ``indices``.
    """
    # Whole rows take a CPU a tenth of the time or less, but a GPU would sort them in the backward pass.
    sorts = torch.is_grad_enabled() and tokens.device.type != "cpu"
    if sorts or torch.compiler.is_compiling():
        return tokens.gather(-2, indices.unsqueeze(-1).expand(*indices.shape, tokens.shape[-1]))
    batch = tokens.shape[:-2]
    starts = torch.arange(batch.numel(), device=tokens.device).view(*batch, 1) * tokens.shape[-2]
    return torch.nn.functional.embedding(indices + starts, tokens.reshape(-1, tokens.shape[-1]))


def average_groups(tokens: Tensor, groups: Tensor, num_groups: int, weights: Tensor | None = None) -> Tensor:
    """Average the tokens of every group, weighted or not.

    Args:
        tokens: (B, S, D).
        groups: (B, S) int64, the group of each token, values in [0, K). No group may be empty.
        num_groups: K.
        weights: (B, S), positive, or None.

    Returns:
        (B, K, D), in the dtype of ``tokens``.
    """
    # A product with a (K, S) averaging matrix rather than scattered additions: those are not deterministic on a GPU.
    membership = torch.nn.functional.one_hot(groups, num_groups).transpose(1, 2).to(tokens.dtype)  # (B, K, S)
    if weights is not None:
        membership = membership * weights.unsqueeze(1).to(tokens.dtype)
    averaging = membership / membership.sum(-1, keepdim=True)
    with without_autocast(tokens):
        return averaging @ tokens


def source_masks(groups: Tensor, seed_indices: Tensor, num_groups: int, num_patches: int) -> Tensor:
    """Mark which patches of which frames were merged into each context token (Figs. 6 and 9).

    Args:
        groups: (B, T * S) int64, the context token of each seed, frame by frame.
        seed_indices: (B, T, S) int64, the patch of each seed within its frame.
        num_groups: K.
        num_patches: P.

    Returns:
        (B, K, T * P) bool, frame by frame. The rows are disjoint; their union is the set of seed positions.
    """
    batch, frames, _ = seed_indices.shape
    offsets = torch.arange(frames, device=seed_indices.device)[:, None] * num_patches
    positions = (seed_indices + offsets).flatten(1)  # (B, T * S)
    masks = torch.zeros(batch, num_groups, frames * num_patches, dtype=torch.bool, device=groups.device)
    rows = torch.arange(batch, device=groups.device)[:, None]
    masks[rows, groups, positions] = True
    return masks
