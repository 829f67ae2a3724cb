"""Bipartite matching on a GPU (Eq. 6, Appendix G.2): the rounds of `rounds.py` as one operator of PyTorch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tc_clip_pl.kernels.product_rounds import ProductRounds, count_columns
from tc_clip_pl.kernels.replay import Replayed
from tc_clip_pl.kernels.rounds import Rounds
from tc_clip_pl.kernels.streams import run_on_streams
from tc_clip_pl.ops.aggregation.bipartite import merge_schedule

# Products of all tokens are found once, and pay in rounds of many tokens: B/16 has enough of those from 42 frames on.
MANY_TOKENS, ENOUGH_ROUNDS = 1500, 10
MOST_PRODUCTS = 2**30  # 4 GiB
MOST_STREAMS = 8  # of clips: more are no faster


def match_tokens(sums: Tensor, num_context_tokens: int, merges_per_round: int) -> Tensor:
    """Find the context token that each seed is merged into, as `bipartite.match_tokens` does.

    Args:
        sums: (B, n, D) float32 seeds, multiplied by their weights if they have any.
        num_context_tokens: K; if n <= K, every seed stays by itself.
        merges_per_round: r of Appendix G.2.

    Returns:
        (B, n) int64, values in [0, min(n, K)); every value occurs.
    """
    return _operator(sums, num_context_tokens, merges_per_round)


@torch.library.custom_op("tcclip::match_tokens", mutates_args=())
def _operator(sums: Tensor, num_context_tokens: int, merges_per_round: int) -> Tensor:
    return _replayed(sums, num_context_tokens, merges_per_round)


@_operator.register_fake
def _(sums: Tensor, num_context_tokens: int, merges_per_round: int) -> Tensor:
    return sums.new_empty(sums.shape[:2], dtype=torch.int64)


def _match_tokens(sums: Tensor, num_context_tokens: int, merges_per_round: int) -> Tensor:
    """Match contiguous seeds; merged ones are added to each other where they are."""
    batch, num_seeds, _ = sums.shape
    plan = merge_schedule(num_seeds, num_context_tokens, merges_per_round)
    num_tokens = [num_seeds - sum(plan[:index]) for index in range(len(plan) + 1)]
    num_early = sum(tokens >= MANY_TOKENS for tokens in num_tokens[:-1])
    most = max(plan, default=1)
    num_products = batch * num_seeds * count_columns(num_seeds, most, num_early)
    if num_early >= ENOUGH_ROUNDS and num_products <= MOST_PRODUCTS:
        rounds = ProductRounds(sums, most, num_early)
    else:
        rounds = Rounds(sums, most)
    step = max(1, -(-batch // MOST_STREAMS))  # a batch without clips has no parts
    parts = [rounds.part(slice(first, first + step)) for first in range(0, batch, step)]
    run_on_streams(lambda part: _run(part, plan, num_tokens), parts, sums.device)
    return rounds.groups


def _run(rounds: Rounds, plan: Sequence[int], num_tokens: Sequence[int]) -> None:
    rounds.start()
    for tokens, num_merges in zip(num_tokens[:-1], plan, strict=True):
        rounds.run(tokens, num_merges)
    rounds.label(len(plan), num_tokens[-1])


_replayed = Replayed(_match_tokens)
