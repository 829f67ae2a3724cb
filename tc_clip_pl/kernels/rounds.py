"""Rounds of bipartite matching by kernels: the similarities of every round by matrix products of its own."""

from collections.abc import Mapping
from copy import copy
from typing import Self

import torch
import triton
from torch import Tensor

from tc_clip_pl.kernels.merge_kernels import merge_tokens
from tc_clip_pl.kernels.round_kernels import find_partners, label_seeds, normalize_rows, rank_tokens

# Tokens of a tile of similarities, and features per step. Large tiles read less, small ones keep more of a GPU busy.
LARGE_TILE = {"BLOCK_A": 128, "BLOCK_B": 128, "BLOCK_D": 32, "num_warps": 8, "num_stages": 3}
SMALL_TILE = {"BLOCK_A": 64, "BLOCK_B": 64, "BLOCK_D": 64, "num_warps": 4, "num_stages": 3}
ENOUGH_TILES = 256  # about two for each multiprocessor: from here on, large ones
RANKED, RIVALS, ADDED, LABELED = 8, 512, 16, 256  # tokens, those compared, merged rows and seeds per step
LEAST = torch.iinfo(torch.int64).min


class Rounds:
    """The state of the rounds: the sum and the unit vector of each row, the rows left, and where merged ones went.

    Args:
        sums: (B, n, D) float32, contiguous; merged ones are added to it.
        most: Merges in the largest round.
        num_columns: Columns whose norms are kept, for `ProductRounds`.

    Attributes:
        groups: (B, n) int64, the group of each seed, once the rounds are labeled.
    """

    def __init__(self, sums: Tensor, most: int, num_columns: int = 0) -> None:
        (self.batch, self.num_rows, self.width), self.most = sums.shape, most
        self.num_clips = self.batch  # of all parts, which run at once
        self.num_columns, self.block_width = num_columns, triton.next_power_of_2(self.width)
        self.sums = sums
        self.high, self.low = (torch.empty_like(sums, dtype=torch.float16) for _ in range(2))
        self.norms = torch.zeros(self.batch, num_columns, device=sums.device) if num_columns else None
        order = torch.arange(self.num_rows, device=sums.device, dtype=torch.int32)
        self.parents = order.expand(self.batch, -1).contiguous()  # every row is its own until it is merged
        self.arrivals = torch.zeros_like(self.parents)  # shares of a row's sum that are done
        self.rows, self.next_rows = self.parents.clone(), torch.empty_like(self.parents)
        self.best, self.next_best = torch.full((2, self.batch, self.num_rows), LEAST, device=sums.device).unbind()
        self.merged, self.target = torch.empty(2, self.batch, most, device=sums.device, dtype=torch.int32).unbind()
        self.labels, self.groups = torch.empty_like(self.rows), torch.empty_like(self.rows, dtype=torch.int64)

    def part(self, clips: slice) -> Self:
        """Return the rounds of some of the clips, which write to the tensors of all."""
        part = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(part, name, value[clips])
        part.batch = len(part.sums)
        return part

    def start(self) -> None:
        """Find the unit vectors of the seeds."""
        normalize_rows[(self.batch * self.num_rows,)](
            self.sums, self.high, self.low, self.norms, self.num_rows, self.num_columns, self.width, self.block_width
        )

    def run(self, num_tokens: int, num_merges: int) -> None:
        """Run one round."""
        tile = LARGE_TILE if self.num_clips * _count_tiles(num_tokens, LARGE_TILE) >= ENOUGH_TILES else SMALL_TILE
        find_partners[(_count_tiles(num_tokens, tile), self.batch)](
            self.high, self.low, self.rows, self.best, num_tokens, self.num_rows, self.width, **tile
        )
        self._rank(num_tokens, num_merges)
        merge_tokens[(num_merges, self.batch)](
            self.sums, self.high, self.low, self.parents, self.arrivals, self.merged, self.target, num_merges,
            self.num_rows, self.most, self.width, triton.next_power_of_2(self.most), self.block_width, ADDED,
            num_warps=8,
        )  # fmt: skip

    def _rank(
        self,
        num_tokens: int,
        num_merges: int,
        columns: Tensor | None = None,
        places: Tensor | None = None,
        changed: Tensor | None = None,
    ) -> None:
        rank_tokens[(triton.cdiv((num_tokens + 1) // 2, RANKED), self.batch)](
            self.best, self.next_best, self.rows, self.next_rows, self.merged, self.target, columns, places, changed,
            num_tokens, num_merges, self.num_rows, self.num_columns, self.most, LEAST, RANKED, RIVALS,
        )  # fmt: skip
        self.rows, self.next_rows = self.next_rows, self.rows
        self.best, self.next_best = self.next_best, self.best

    def label(self, num_rounds: int, num_groups: int) -> None:
        """Write to `groups` the place, among the rows left, of the one that each seed ended in."""
        label_seeds[(self.batch,)](
            self.parents, self.rows, self.labels, self.groups, self.num_rows, num_rounds, num_groups, LABELED
        )


def _count_tiles(num_tokens: int, tile: Mapping[str, int]) -> int:
    """Return how many tiles cover the similarities of every token of A and every token of B."""
    return triton.cdiv((num_tokens + 1) // 2, tile["BLOCK_A"]) * triton.cdiv(num_tokens // 2, tile["BLOCK_B"])
