"""Context summarization by repeated bipartite soft matching (Sec. 2.3, Eq. 6, and Appendix G.2).

In every round each token at an even position (set A) finds the most similar token at an odd position (set B), and the A
tokens with the most similar partners merge into them. Tokens of the same set never compare, which makes a round cheap;
the next round splits the tokens anew, so pairs that could not meet before may meet then.

A size-weighted mean of means is the plain mean of all seeds of a group. So the rounds only have to find the groups:
they run without gradient, and one averaging product at the end makes the context tokens.
"""

import torch
from torch import Tensor

from tc_clip_pl.ops.aggregation.base import AGGREGATORS, Grouping, Seeds
from tc_clip_pl.ops.tokens import gather_tokens

SMALLEST_WEIGHT = 1e-6  # a seed of weight 0 would have no direction to compare


def merge_schedule(num_tokens: int, num_merged: int, merges_per_round: int) -> list[int]:
    """Plan how many pairs merge in each round, from ``num_tokens`` (n) down to ``num_merged`` (k) (Appendix G.2).

    The plan has ``int((n - k) / r)`` rounds of r merges, then rounds of as many merges as are needed to end at exactly
    k. A round merges at most half of its tokens. There are no rounds if n <= k.

    >>> merge_schedule(928, 96, 100)
    [100, 100, 100, 100, 100, 100, 100, 100, 32]
    """
    rounds = []
    # The number of full rounds is fixed in advance, even if half of the tokens left is less than r.
    for _ in range(max(num_tokens - num_merged, 0) // merges_per_round):
        rounds.append(min(merges_per_round, num_tokens // 2))
        num_tokens -= rounds[-1]
    while num_tokens > num_merged:
        rounds.append(min(num_tokens - num_merged, num_tokens // 2))
        num_tokens -= rounds[-1]
    return rounds


def match_round(sums: Tensor, num_merges: int) -> tuple[Tensor, Tensor]:
    """Run one round of bipartite soft matching.

    Args:
        sums: (B, n, D) float32 or float64, the sum of the seeds merged into each token. Their mean has the same
            direction, and only directions are compared, so the sizes are not needed.
        num_merges: r, at most n // 2.

    Returns:
        sums: (B, n - r, D) after the round: the unmerged A tokens in descending order of their best similarity, then
            all B tokens. The order is part of the method: it decides the two sets of the next round.
        positions: (B, n) int64, the new position of every old token.
    """
    num_tokens, device = sums.shape[1], sums.device
    num_kept = (num_tokens + 1) // 2 - num_merges
    unit = torch.nn.functional.normalize(sums, dim=-1)
    best, partner = (unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)).max(dim=-1)  # (B, |A|)
    order = best.argsort(dim=-1, descending=True, stable=True)  # stable: the same on every device

    # Old positions: merged A tokens, then those that remain, in their new order: kept A tokens by rank, all B tokens.
    all_b = torch.arange(1, num_tokens, 2, device=device).expand(sums.shape[0], -1)  # `len` is a constant in an export
    old = torch.cat((2 * order, all_b), dim=1)
    merged, remaining = old[:, :num_merges], old[:, num_merges:]
    targets = num_kept + partner.gather(1, order[:, :num_merges])  # new positions of the partners
    tokens = gather_tokens(sums, remaining)
    # Several A tokens may share a partner; the additions then accumulate.
    tokens.scatter_add_(1, targets.unsqueeze(-1).expand(-1, -1, sums.shape[-1]), gather_tokens(sums, merged))

    new = torch.arange(num_tokens - num_merges, device=device).expand_as(remaining)
    return tokens, torch.empty_like(old).scatter_(1, old, torch.cat((targets, new), dim=1))


def match_tokens(sums: Tensor, num_context_tokens: int, merges_per_round: int) -> Tensor:
    """Find the context token that each seed is merged into.

    Args:
        sums: (B, n, D) float32 or float64 seeds, multiplied by their weights if they have any. Lower precision would
            change ties and order, and with them every later round.
        num_context_tokens: K; if n <= K, every seed stays by itself.
        merges_per_round: r of Appendix G.2.

    Returns:
        (B, n) int64, values in [0, min(n, K)); every value occurs.
    """
    groups = torch.arange(sums.shape[1], device=sums.device).expand(sums.shape[:2])
    for num_merges in merge_schedule(sums.shape[1], num_context_tokens, merges_per_round):
        sums, positions = match_round(sums, num_merges)
        groups = positions.gather(1, groups)  # follow every seed through the round
    return groups


@AGGREGATORS.register("bipartite", reads=("num_context_tokens", "merges_per_round"))
def bipartite(seeds: Seeds, num_context_tokens: int, merges_per_round: int) -> Grouping:
    """Merge similar seeds into plain means: the paper's choice."""
    return _group(seeds, num_context_tokens, merges_per_round, None)


@AGGREGATORS.register("bipartite_attention", reads=("num_context_tokens", "merges_per_round"))
def bipartite_attention(seeds: Seeds, num_context_tokens: int, merges_per_round: int) -> Grouping:
    """Weigh each seed by its [CLS] attention, in every merge and in the final mean."""
    return _group(seeds, num_context_tokens, merges_per_round, seeds.pick(seeds.attention.cls_attention().mean(2)))


@AGGREGATORS.register("bipartite_saliency", reads=("num_context_tokens", "merges_per_round"))
def bipartite_saliency(seeds: Seeds, num_context_tokens: int, merges_per_round: int) -> Grouping:
    """Weigh each seed by its saliency, in every merge and in the final mean (saliency-aware matching of Table 1)."""
    return _group(seeds, num_context_tokens, merges_per_round, seeds.pick(seeds.attention.saliency()))


def _group(seeds: Seeds, num_context_tokens: int, merges_per_round: int, weights: Tensor | None) -> Grouping:
    sums = seeds.detached
    if weights is not None:
        weights = weights.to(sums.dtype).clamp_min(SMALLEST_WEIGHT)
        sums = sums * weights.unsqueeze(-1)
    match = match_tokens if seeds.match is None else seeds.match
    groups = match(sums, num_context_tokens, merges_per_round)
    return Grouping(groups, min(num_context_tokens, groups.shape[1]), weights)
