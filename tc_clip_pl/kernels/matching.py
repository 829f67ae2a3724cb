"""Bipartite matching on a GPU (Eq. 6, Appendix G.2): the kernels of `matching_rounds.py` as one operator of PyTorch."""

from collections.abc import Mapping

import torch
import triton
from torch import Tensor

from tc_clip_pl.kernels.matching_rounds import (
    find_partners,
    label_seeds,
    merge_tokens,
    normalize_rows,
    rank_tokens,
)
from tc_clip_pl.kernels.replay import Replayed
from tc_clip_pl.ops.aggregation.bipartite import merge_schedule

# Tokens of a tile of similarities, and features per step. Large tiles read less, small ones keep more of a GPU busy.
LARGE_TILE = {"BLOCK_A": 128, "BLOCK_B": 128, "BLOCK_D": 32, "num_warps": 8, "num_stages": 3}
SMALL_TILE = {"BLOCK_A": 64, "BLOCK_B": 64, "BLOCK_D": 64, "num_warps": 4, "num_stages": 3}
ENOUGH_TILES = 256  # about two for each multiprocessor: from here on, large ones
RANKED, RIVALS, ADDED, LABELED = 4, 512, 16, 256  # tokens, those compared, merged rows and seeds per step
LEAST = torch.iinfo(torch.int64).min


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
    num_tokens = sums.shape[1]
    plan = merge_schedule(num_tokens, num_context_tokens, merges_per_round)
    rounds = _Rounds(sums, max(plan, default=1))
    for num_merges in plan:
        rounds.run(num_tokens, num_merges)
        num_tokens -= num_merges
    return rounds.label(len(plan), num_tokens)


class _Rounds:
    """The state of the rounds: the sum and the unit vector of each row, the rows left, and where merged ones went.

    Args:
        sums: (B, n, D) float32.
        most: Merges in the largest round.
    """

    def __init__(self, sums: Tensor, most: int) -> None:
        (self.batch, self.num_rows, self.width), self.most = sums.shape, most
        self.block_width = triton.next_power_of_2(self.width)
        sums = sums.contiguous()
        self.sums = torch.empty_like(sums)
        self.high, self.low = (torch.empty_like(sums, dtype=torch.float16) for _ in range(2))
        normalize_rows[(self.batch * self.num_rows,)](
            sums, self.sums, self.high, self.low, self.width, self.block_width
        )
        order = torch.arange(self.num_rows, device=sums.device, dtype=torch.int32)
        self.parents = order.expand(self.batch, -1).contiguous()  # every row is its own until it is merged
        self.rows, self.next_rows = self.parents.clone(), torch.empty_like(self.parents)
        self.best, self.next_best = torch.full((2, self.batch, self.num_rows), LEAST, device=sums.device).unbind()
        self.merged, self.target = torch.empty(2, self.batch, most, device=sums.device, dtype=torch.int32).unbind()

    def run(self, num_tokens: int, num_merges: int) -> None:
        """Run one round."""
        num_a = (num_tokens + 1) // 2
        tile = LARGE_TILE if self.batch * _count_tiles(num_tokens, LARGE_TILE) >= ENOUGH_TILES else SMALL_TILE
        find_partners[(_count_tiles(num_tokens, tile), self.batch)](
            self.high, self.low, self.rows, self.best, num_tokens, self.num_rows, self.width, **tile
        )
        rank_tokens[(triton.cdiv(num_a, RANKED), self.batch)](
            self.best, self.next_best, self.rows, self.next_rows, self.merged, self.target, num_tokens, num_merges,
            self.num_rows, self.most, LEAST, RANKED, RIVALS,
        )  # fmt: skip
        merge_tokens[(num_merges, self.batch)](
            self.sums, self.high, self.low, self.parents, self.merged, self.target, num_merges, self.num_rows,
            self.most, self.width, triton.next_power_of_2(self.most), self.block_width, ADDED, num_warps=8,
        )  # fmt: skip
        self.rows, self.next_rows = self.next_rows, self.rows
        self.best, self.next_best = self.next_best, self.best

    def label(self, num_rounds: int, num_groups: int) -> Tensor:
        """Return the (B, n) int64 place, among the rows left, of the one that each seed ended in."""
        labels, groups = torch.empty_like(self.rows), torch.empty_like(self.rows, dtype=torch.int64)
        label_seeds[(self.batch,)](
            self.parents, self.rows, labels, groups, self.num_rows, num_rounds, num_groups, LABELED
        )
        return groups


def _count_tiles(num_tokens: int, tile: Mapping[str, int]) -> int:
    """Return how many tiles cover the similarities of every token of A and every token of B."""
    return triton.cdiv((num_tokens + 1) // 2, tile["BLOCK_A"]) * triton.cdiv(num_tokens // 2, tile["BLOCK_B"])


_replayed = Replayed(_match_tokens)
