"""What clustering is compared with: no merging, and merging at random (Table 8b)."""

import torch

from tc_clip_pl.ops.aggregation.base import AGGREGATORS, Grouping, Seeds


@AGGREGATORS.register("none")
def no_merge(seeds: Seeds, num_context_tokens: int, merges_per_round: int) -> Grouping:
    """Every seed is a context token."""
    count = seeds.tokens.shape[1]
    return Grouping(torch.arange(count, device=seeds.tokens.device).expand(len(seeds.tokens), -1), count)


@AGGREGATORS.register("random", reads=("num_context_tokens",))
def random_merge(seeds: Seeds, num_context_tokens: int, merges_per_round: int) -> Grouping:
    """Groups of equal size (to one seed), drawn anew in every call from torch's generator."""
    order = torch.rand(seeds.tokens.shape[:2], device=seeds.tokens.device).argsort(-1)
    return Grouping(order.argsort(-1) % num_context_tokens, num_context_tokens)
