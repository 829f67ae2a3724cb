"""The kernels of rounds on products: matching for videos of many frames; `product_rounds.py` runs them.

Products are linear: those of a merged token are the sum of those of its tokens. So the products of all pairs are found
once, and a round only adds rows and columns, ``products[i, c] = x_i . x_c / |x_c|``. A token keeps its row. If others
merge into it, it moves to a new column, next to the others of this round: scattered columns would be slow to write.

Columns are in blocks, and ``bounds[i, block]`` is at least the largest product of i with a token that is left, so that
a search reads only the few blocks that can hold the best partner.
"""

import triton
import triton.language as tl

from tc_clip_pl.kernels.round_kernels import multiply, order, pack


@triton.jit
def multiply_all(
    high, low, norms, products, bounds, num_rows, num_columns, num_blocks, width: tl.constexpr,
    BLOCK: tl.constexpr, BLOCK_D: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Multiply all pairs of tokens, each once."""
    clip, tile = tl.program_id(1).to(tl.int64), tl.program_id(0)
    down = ((tl.sqrt(8.0 * tile + 1.0) - 1.0) / 2.0).to(tl.int32)  # tiles of a triangle, row by row
    across = tile - down * (down + 1) // 2
    row, column = down * BLOCK + tl.arange(0, BLOCK), across * BLOCK + tl.arange(0, BLOCK)
    offset = clip * num_rows * width
    row_a = (tl.where(row < num_rows, row, 0) * width)[:, None]
    row_b = (tl.where(column < num_rows, column, 0) * width)[None, :]
    cosines = multiply(high + offset, low + offset, row_a, row_b, width, BLOCK, BLOCK, BLOCK_D)
    norms += clip * num_columns
    products += clip * num_rows * num_columns
    bounds += clip * num_rows * num_blocks
    _store_tile(cosines, row, column, norms, products, bounds, num_rows, num_columns, num_blocks, BLOCK, COLUMNS)
    if down != across:
        cosines = tl.trans(cosines)
        _store_tile(cosines, column, row, norms, products, bounds, num_rows, num_columns, num_blocks, BLOCK, COLUMNS)


@triton.jit
def _store_tile(
    cosines, row, column, norms, products, bounds, num_rows, num_columns, num_blocks,
    BLOCK: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    is_row, is_column, start = row < num_rows, column < num_rows, tl.min(column, axis=0)
    product = cosines * tl.load(norms + row, mask=is_row, other=0.0)[:, None]
    cell = products + row[:, None] * num_columns + column[None, :]
    tl.store(cell, product, mask=is_row[:, None] & is_column[None, :])
    product = tl.where(is_column[None, :] & (row[:, None] != column[None, :]), product, float("-inf"))
    bound = tl.max(tl.reshape(product, (BLOCK, BLOCK // COLUMNS, COLUMNS)), axis=2)
    block = start // COLUMNS + tl.arange(0, BLOCK // COLUMNS)
    cell = bounds + row[:, None] * num_blocks + block[None, :]
    tl.store(cell, bound, mask=is_row[:, None] & (block < num_blocks)[None, :])


@triton.jit(do_not_specialize=["num_tokens", "num_used"])
def search_partners(
    products, bounds, norms, columns, places, rows, best, num_tokens, num_rows, num_columns, num_blocks, num_used,
    LEAST: tl.constexpr, BLOCKS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Find the best partner in B of a token of A, as `find_partners` does, in the blocks that may have a better one."""
    clip, a = tl.program_id(1).to(tl.int64), tl.program_id(0)
    row = tl.load(rows + clip * num_rows + 2 * a)
    own = tl.load(columns + clip * num_rows + row)
    places += clip * num_columns
    products += (clip * num_rows + row) * num_columns
    bounds += (clip * num_rows + row) * num_blocks
    blocks = tl.arange(0, BLOCKS)
    bound = order(tl.load(bounds + blocks, mask=blocks < num_used, other=float("-inf")))
    # One maximum of integers finds the block of the highest bound, its index instead of the lowest bits.
    upper = tl.where(blocks < num_used, (bound | (BLOCKS - 1)) - blocks, LEAST)
    top = tl.max(upper, axis=0)
    value, partner = LEAST, 0
    while top > LEAST:
        block = BLOCKS - 1 - (top & (BLOCKS - 1))
        column = block * COLUMNS + tl.arange(0, COLUMNS)
        place = tl.load(places + column)
        product = order(tl.load(products + column))
        product = tl.where((place >= 0) & (column != own), product, LEAST)
        left = tl.max(product, axis=0)  # less than the bound if the best of the block has merged
        tl.store(bounds + block, order(left).to(tl.float32, bitcast=True))
        product = tl.where(place % 2 == 1, product, LEAST)  # tokens of B
        found = tl.max(product, axis=0)
        if found > value:
            value = found
            partner = tl.min(tl.where(product == found, place, 0x7FFFFFFF), axis=0) // 2
        upper = tl.where((bound > value) & (upper != top), upper, LEAST)
        top = tl.max(upper, axis=0)
    cosine = order(value).to(tl.float32, bitcast=True) / tl.load(norms + clip * num_columns + own)
    tl.store(best + clip * num_rows + a, pack(cosine, partner))
