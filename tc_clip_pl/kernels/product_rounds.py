"""Rounds of bipartite matching on the products of all tokens, found once: fewer operations if there are many rounds."""

import torch
import triton
from torch import Tensor

from tc_clip_pl.kernels.product_kernels import multiply_all, search_partners
from tc_clip_pl.kernels.product_merge_kernels import add_columns, add_rows
from tc_clip_pl.kernels.rounds import Rounds

COLUMNS = 64  # in a block
TILE = {"BLOCK": 128, "BLOCK_D": 64, "num_warps": 8, "num_stages": 3}  # tokens and features per step, both ways
SEARCH = {"LEAST": torch.iinfo(torch.int32).min, "num_warps": 1}
ADD_ROWS = {"BLOCK_ADD": 8, "BLOCK": 1024, "FEW": 2, "num_warps": 2}  # tokens, columns and rows per step
ADD_COLUMNS = {"BLOCK": 32, "BLOCK_ADD": 8, "num_warps": 1}  # rows and merged columns per step


def count_columns(num_rows: int, most: int, num_rounds: int) -> int:
    """Return how many columns of products the rounds take; the arguments are those of `ProductRounds`."""
    return COLUMNS * (triton.cdiv(num_rows, COLUMNS) + num_rounds * _count_new_blocks(most))


def _count_new_blocks(most: int) -> int:
    return triton.next_power_of_2(triton.cdiv(most, COLUMNS))  # as many as the kernels write


class ProductRounds(Rounds):
    """Rounds that keep the products of all tokens as long as there are columns for merged ones, then `Rounds`.

    Args:
        sums: (B, n, D) float32, contiguous; merged ones are added to it.
        most: Merges in the largest round.
        num_rounds: Rounds on products.
    """

    def __init__(self, sums: Tensor, most: int, num_rounds: int) -> None:
        device, (batch, num_rows, _) = sums.device, sums.shape
        super().__init__(sums, most, count_columns(num_rows, most, num_rounds))
        self.num_blocks, self.num_new = self.num_columns // COLUMNS, _count_new_blocks(most)
        self.num_used = triton.cdiv(num_rows, COLUMNS)  # blocks
        self.columns, self.changed = self.parents.clone(), torch.zeros_like(self.parents)
        self.places = torch.full((batch, self.num_columns), -1, device=device, dtype=torch.int32)
        self.places[:, :num_rows] = self.rows
        self.products = torch.empty(batch, num_rows, self.num_columns, device=device)
        self.bounds = torch.full((batch, num_rows, self.num_blocks), float("-inf"), device=device)

    def start(self) -> None:
        """Find the unit vectors of the seeds, and the products of all."""
        super().start()
        num_tiles = triton.cdiv(self.num_rows, TILE["BLOCK"])
        multiply_all[(num_tiles * (num_tiles + 1) // 2, self.batch)](
            self.high, self.low, self.norms, self.products, self.bounds, self.num_rows, self.num_columns,
            self.num_blocks, self.width, COLUMNS=COLUMNS, **TILE,
        )  # fmt: skip

    def run(self, num_tokens: int, num_merges: int) -> None:
        """Run one round."""
        if self.num_used == self.num_blocks:
            super().run(num_tokens, num_merges)
            return
        search_partners[((num_tokens + 1) // 2, self.batch)](
            self.products, self.bounds, self.norms, self.columns, self.places, self.rows, self.best, num_tokens,
            self.num_rows, self.num_columns, self.num_blocks, self.num_used,
            BLOCKS=triton.next_power_of_2(self.num_blocks), COLUMNS=COLUMNS, **SEARCH,
        )  # fmt: skip
        self._rank(num_tokens, num_merges, self.columns, self.places, self.changed)
        self._add(num_tokens, num_merges)
        self.num_used += self.num_new

    def _add(self, num_tokens: int, num_merges: int) -> None:
        block_merges = self.num_new * COLUMNS
        num_parts = triton.cdiv(self.num_used * COLUMNS, ADD_ROWS["BLOCK"])
        add_rows[(num_merges, 1 + num_parts, self.batch)](
            self.sums, self.high, self.low, self.norms, self.parents, self.arrivals, self.products, self.bounds,
            self.columns, self.places, self.merged, self.target, num_merges, self.num_rows, self.num_columns,
            self.num_blocks, self.num_used, self.most, self.width, block_merges, self.block_width, COLUMNS=COLUMNS,
            **ADD_ROWS,
        )  # fmt: skip
        num_tiles = triton.cdiv(self.num_rows, ADD_COLUMNS["BLOCK"]) * triton.cdiv(num_merges, COLUMNS)
        add_columns[(num_merges + num_tiles, self.batch)](
            self.products, self.bounds, self.norms, self.columns, self.places, self.parents, self.changed, self.merged,
            self.target, num_tokens, num_merges, self.num_rows, self.num_columns, self.num_blocks, self.num_used,
            self.most, block_merges, COLUMNS=COLUMNS, **ADD_COLUMNS,
        )  # fmt: skip
