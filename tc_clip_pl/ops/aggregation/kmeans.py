"""k-means (Lloyd's algorithm) over the seeds of a video (Tables 1 and 8b)."""

import torch
from torch import Tensor

from tc_clip_pl.ops.aggregation.base import AGGREGATORS, Grouping, Seeds
from tc_clip_pl.ops.tokens import average_groups, gather_tokens

ITERATIONS = 10


@AGGREGATORS.register("kmeans", reads=("num_context_tokens",))
def kmeans(seeds: Seeds, num_context_tokens: int, merges_per_round: int) -> Grouping:
    """Run ten rounds of Lloyd's algorithm, starting from K evenly spaced seeds, so that every frame has its share.

    A group that loses its last seed gets the seed that is farthest from its own center.
    """
    tokens = seeds.detached
    start = torch.arange(num_context_tokens, device=tokens.device) * tokens.shape[1] // num_context_tokens
    centers = gather_tokens(tokens, start.expand(tokens.shape[0], -1))
    for _ in range(ITERATIONS):
        distances = torch.cdist(tokens, centers)  # (B, S, K)
        groups = fill_empty_groups(distances.argmin(-1), distances)
        centers = average_groups(tokens, groups, num_context_tokens)
    return Grouping(groups, num_context_tokens)


def fill_empty_groups(groups: Tensor, distances: Tensor) -> Tensor:
    """Give every empty group one seed: the one farthest from its own center among groups of two or more.

    Args:
        groups: (B, S) int64.
        distances: (B, S, K) from every seed to every center; S must be at least K.

    Returns:
        (B, S) int64, where every group from 0 to K - 1 occurs.
    """
    # One group per video and pass: the sizes, and so the seeds that may move, change with each.
    for _ in range(distances.shape[-1]):
        sizes = torch.nn.functional.one_hot(groups, distances.shape[-1]).sum(1)  # (B, K)
        has_empty = (sizes == 0).any(-1, keepdim=True)  # (B, 1)
        if not has_empty.any():
            break
        own = distances.gather(-1, groups[..., None]).squeeze(-1).masked_fill(sizes.gather(1, groups) < 2, -1)
        farthest, empty = own.argmax(-1, keepdim=True), sizes.argmin(-1, keepdim=True)  # (B, 1)
        groups = groups.scatter(1, farthest, torch.where(has_empty, empty, groups.gather(1, farthest)))
    return groups
