"""Baselines for clustering: no merging, and random merging (Table 8b)."""

import torch

from tc_clip_pl.ops.aggregation.base import AGGREGATORS, Grouping, Seeds


@AGGREGATORS.register("none")
def no_merge(seeds: Seeds, num_context_tokens: int, merges_per_round: int) -> Grouping:
    """Keep every seed as a context token."""
    count = seeds.tokens.shape[1]
    return Grouping(torch.arange(count, device=seeds.tokens.device).expand(seeds.tokens.shape[0], -1), count)


@AGGREGATORS.register("random", reads=("num_context_tokens",))
def random_merge(seeds: Seeds, num_context_tokens: int, merges_per_round: int) -> Grouping:
    """Draw groups at random in every call, from torch's generator; their sizes differ by one seed at most."""
    order = torch.rand(seeds.tokens.shape[:2], device=seeds.tokens.device).argsort(-1)
    # A random permutation modulo K fills the groups in turn.
    return Grouping(order.argsort(-1) % num_context_tokens, num_context_tokens)
