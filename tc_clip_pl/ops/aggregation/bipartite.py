"""Context summarization by repeated bipartite soft matching (Sec. 2.3, Eq. 6, and Appendix G.2).

In every round the tokens at even positions (A) each look for the most similar token at odd positions (B), and the A
tokens with the best partners merge into them. A size-weighted mean of means is the plain mean of all seeds of a
group, so the rounds only have to find the groups: they run without gradient, and one averaging product then makes the
context tokens.
"""

import torch
from torch import Tensor

from tc_clip_pl.ops.aggregation.base import AGGREGATORS, Grouping, Seeds
from tc_clip_pl.ops.tokens import gather_tokens

SMALLEST_WEIGHT = 1e-6  # a seed of weight 0 would have no direction to be matched by


def merge_schedule(num_tokens: int, num_merged: int, merges_per_round: int) -> list[int]:
    """How many pairs merge in each round, from ``num_tokens`` down to ``num_merged`` (Appendix G.2).

    ``int((n - k) / r)`` rounds of r merges, then as many as are needed to end at k exactly; a round can merge at most
    half of its tokens. Nothing merges where there are ``num_merged`` tokens or fewer.

    >>> merge_schedule(928, 96, 100)
    [100, 100, 100, 100, 100, 100, 100, 100, 32]
    """
    rounds = []
    for _ in range(max(num_tokens - num_merged, 0) // merges_per_round):
        rounds.append(min(merges_per_round, num_tokens // 2))
        num_tokens -= rounds[-1]
    while num_tokens > num_merged:
        rounds.append(min(num_tokens - num_merged, num_tokens // 2))
        num_tokens -= rounds[-1]
    return rounds


def match_round(sums: Tensor, num_merges: int) -> tuple[Tensor, Tensor]:
    """One round of bipartite soft matching.

    Args:
        sums: (B, n, D) float32 or float64, the sum of the seeds that each token stands for. Their mean has the same
            direction, and only directions are compared, so sizes need no keeping.
        num_merges: r, at most n // 2.

    Returns:
        The (B, n - r, D) sums after the round: the unmerged A tokens in descending order of their best similarity, then
        all B tokens. And (B, n) int64, the new position of every old token.
    """
    unit = torch.nn.functional.normalize(sums, dim=-1)
    best, partner = (unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)).max(dim=-1)  # (B, |A|)
    order = best.argsort(dim=-1, descending=True, stable=True)
    merged, kept = order[:, :num_merges], order[:, num_merges:]

    targets = partner.gather(1, merged)  # (B, r), positions in B
    a, b = sums[:, ::2], sums[:, 1::2]
    b = b.scatter_add(1, targets.unsqueeze(-1).expand(-1, -1, b.shape[-1]), gather_tokens(a, merged))
    sums = torch.cat((gather_tokens(a, kept), b), dim=1)

    num_kept = kept.shape[1]
    positions = partner.new_empty(len(sums), a.shape[1] + b.shape[1])
    rank = torch.arange(num_kept, device=sums.device).expand_as(kept)
    positions[:, ::2] = torch.empty_like(partner).scatter(1, kept, rank).scatter(1, merged, num_kept + targets)
    positions[:, 1::2] = torch.arange(num_kept, num_kept + b.shape[1], device=sums.device)
    return sums, positions


def match_tokens(sums: Tensor, num_context_tokens: int, merges_per_round: int) -> Tensor:
    """The context token that each seed ends in.

    Args:
        sums: (B, S, D) float32 or float64 seeds, each times its weight where seeds are weighted. Precision matters:
            ties and order decide every later round.
        num_context_tokens: K; with S <= K every seed stays alone.
        merges_per_round: r of Appendix G.2.

    Returns:
        (B, S) int64, values in [0, min(S, K)); every value occurs.
    """
    groups = torch.arange(sums.shape[1], device=sums.device).expand(sums.shape[:2])
    for num_merges in merge_schedule(sums.shape[1], num_context_tokens, merges_per_round):
        sums, positions = match_round(sums, num_merges)
        groups = positions.gather(1, groups)
    return groups


@AGGREGATORS.register("bipartite", reads=("num_context_tokens", "merges_per_round"))
def bipartite(seeds: Seeds, num_context_tokens: int, merges_per_round: int) -> Grouping:
    """Plain means of matched seeds: the paper's choice."""
    return _group(seeds, num_context_tokens, merges_per_round, None)


@AGGREGATORS.register("bipartite_attention", reads=("num_context_tokens", "merges_per_round"))
def bipartite_attention(seeds: Seeds, num_context_tokens: int, merges_per_round: int) -> Grouping:
    """Each seed counts by the attention that [CLS] pays to it, in every merge and in the final mean."""
    return _group(seeds, num_context_tokens, merges_per_round, seeds.pick(seeds.attention.cls_attention().mean(2)))


@AGGREGATORS.register("bipartite_saliency", reads=("num_context_tokens", "merges_per_round"))
def bipartite_saliency(seeds: Seeds, num_context_tokens: int, merges_per_round: int) -> Grouping:
    """Each seed counts by its saliency, in every merge and in the final mean (saliency-aware matching of Table 1)."""
    return _group(seeds, num_context_tokens, merges_per_round, seeds.pick(seeds.attention.saliency()))


def _group(seeds: Seeds, num_context_tokens: int, merges_per_round: int, weights: Tensor | None) -> Grouping:
    sums = seeds.detached
    if weights is not None:
        weights = weights.to(sums.dtype).clamp_min(SMALLEST_WEIGHT)
        sums = sums * weights.unsqueeze(-1)
    groups = match_tokens(sums, num_context_tokens, merges_per_round)
    return Grouping(groups, min(num_context_tokens, groups.shape[1]), weights)
