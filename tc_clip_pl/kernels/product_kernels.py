"""The kernels of rounds on products: matching for videos of many frames; `product_rounds.py` runs them.

Products are linear: those of a merged token are the sum of those of its tokens. So the products of all pairs are found
once, and a round only adds rows and columns, ``products[i, c] = x_i . x_c / |x_c|``. A token keeps its row. If others
merge into it, it moves to a new column, next to the others of this round: scattered columns would be slow to write.

Columns are in blocks, and ``bounds[i, block]`` is at least the largest product of i with a token that is left, so that
a search reads only the few blocks that can hold the best partner.
"""

import triton
import triton.language as tl

from tc_clip_pl.kernels.round_kernels import add_tokens, find_others, multiply, order, pack, pick


@triton.jit
def multiply_all(
    high, low, norms, products, bounds, best, num_rows, num_columns, num_blocks, width: tl.constexpr,
    BLOCK: tl.constexpr, BLOCK_D: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Multiply all pairs of tokens, each once, and find the partners of the first round as `find_partners` does."""
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
    best += clip * num_rows
    _store_tile(cosines, row, column, norms, products, bounds, best, num_rows, num_columns, num_blocks, BLOCK, COLUMNS)
    if down != across:
        cosines = tl.trans(cosines)
        _store_tile(
            cosines, column, row, norms, products, bounds, best, num_rows, num_columns, num_blocks, BLOCK, COLUMNS
        )


@triton.jit
def _store_tile(
    cosines, row, column, norms, products, bounds, best, num_rows, num_columns, num_blocks,
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
    is_b = is_column & (column % 2 == 1)
    value, index = tl.max(tl.where(is_b[None, :], cosines, float("-inf")), axis=1, return_indices=True)
    partner = tl.minimum((start + index) // 2, num_rows // 2 - 1)
    tl.atomic_max(best + row // 2, pack(value, partner), mask=is_row & (row % 2 == 0), sem="relaxed")


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


@triton.jit(do_not_specialize=["num_merges", "num_used"])
def add_rows(
    sums, high, low, norms, parents, products, bounds, columns, places, merged, target, num_merges, num_rows,
    num_columns, num_blocks, num_used, max_merges, width: tl.constexpr, BLOCK_MERGES: tl.constexpr,
    BLOCK_WIDTH: tl.constexpr, BLOCK_ADD: tl.constexpr, BLOCK: tl.constexpr, FEW: tl.constexpr,
    COLUMNS: tl.constexpr,
):  # fmt: skip
    """Add each merged token to its partner, as `merge_tokens` does, and its row of products to that of its partner."""
    clip, mine = tl.program_id(2).to(tl.int64), tl.program_id(0)
    if tl.program_id(1) == 0:
        norm, is_first = add_tokens(
            sums, high, low, parents, merged, target, num_merges, num_rows, max_merges, clip, mine,
            width, BLOCK_MERGES, BLOCK_WIDTH, BLOCK_ADD,
        )  # fmt: skip
        tl.store(norms + clip * num_columns + num_used * COLUMNS + mine, norm, mask=is_first)
    else:
        row, others, ranks, count, rank = find_others(
            merged + clip * max_merges, target + clip * max_merges, num_merges, mine, BLOCK_MERGES
        )
        own = tl.load(columns + clip * num_rows + row)
        places += clip * num_columns
        products += clip * num_rows * num_columns
        bounds += (clip * num_rows + row) * num_blocks
        # Merges with the same partner share the columns of its row: a few rows and many columns each, or the reverse.
        num_parts = tl.num_programs(1) - 1
        share = tl.cdiv(num_used, count * num_parts)
        first = (rank * num_parts + tl.program_id(1) - 1) * share
        last = tl.minimum(first + share, num_used)
        if count <= FEW:
            _add_blocks(
                products, bounds, places, row, own, others, ranks, count, first, last, num_columns, BLOCK, FEW, COLUMNS
            )
        else:
            for block in range(first, last):
                _add_blocks(
                    products, bounds, places, row, own, others, ranks, count, block, block + 1, num_columns,
                    COLUMNS, FEW * BLOCK // COLUMNS, COLUMNS,
                )  # fmt: skip


@triton.jit
def _add_blocks(
    products, bounds, places, row, own, others, ranks, count, first, last, num_columns,
    BLOCK: tl.constexpr, BLOCK_ADD: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    column = first * COLUMNS + tl.arange(0, BLOCK)
    is_mine = column < last * COLUMNS
    is_left = (tl.load(places + column, mask=is_mine, other=-1) >= 0) & (column != own)
    total = tl.load(products + row * num_columns + column, mask=is_mine, other=0.0)
    for start in range(0, count, BLOCK_ADD):
        other, is_other = pick(others, ranks, count, start, BLOCK_ADD)
        cell = products + other[:, None] * num_columns + column[None, :]
        total += tl.sum(tl.load(cell, mask=is_other[:, None] & is_mine[None, :], other=0.0), axis=0)
    tl.store(products + row * num_columns + column, total, mask=is_mine)
    bound = tl.max(tl.reshape(tl.where(is_left, total, float("-inf")), (BLOCK // COLUMNS, COLUMNS)), axis=1)
    block = first + tl.arange(0, BLOCK // COLUMNS)
    tl.store(bounds + block, bound, mask=block < last)


@triton.jit(do_not_specialize=["num_tokens", "num_merges", "num_used"])
def add_columns(
    products, bounds, norms, columns, places, parents, changed, merged, target, num_tokens, num_merges, num_rows,
    num_columns, num_blocks, num_used, max_merges, BLOCK_MERGES: tl.constexpr, BLOCK: tl.constexpr,
    BLOCK_ADD: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Write the new columns: the products of all tokens that are left with those into which others have merged."""
    clip, mine = tl.program_id(1).to(tl.int64), tl.program_id(0)
    target += clip * max_merges
    products += clip * num_rows * num_columns
    bounds += clip * num_rows * num_blocks + num_used
    norms += clip * num_columns
    columns += clip * num_rows
    first = num_used * COLUMNS
    if mine < num_merges:
        _add_to_changed(
            products, bounds, norms, columns, places + clip * num_columns, merged + clip * max_merges, target,
            num_merges, num_columns, num_blocks, first, mine, BLOCK_MERGES, BLOCK_ADD, COLUMNS,
        )  # fmt: skip
    else:
        _add_to_unchanged(
            products, bounds, norms, columns, parents + clip * num_rows, changed + clip * num_rows, target, num_tokens,
            num_merges, num_rows, num_columns, num_blocks, first, mine - num_merges, BLOCK, COLUMNS,
        )  # fmt: skip


@triton.jit
def _add_to_unchanged(
    products, bounds, norms, columns, parents, changed, target, num_tokens, num_merges, num_rows, num_columns,
    num_blocks, first, mine, BLOCK: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    num_parts = tl.cdiv(num_merges, COLUMNS)
    row, part = mine // num_parts * BLOCK + tl.arange(0, BLOCK), mine % num_parts
    new = part * COLUMNS + tl.arange(0, COLUMNS)
    new_row = tl.load(target + new, mask=new < num_merges, other=0)
    new_norm = tl.load(norms + first + new)  # 0 where another merge has the same partner
    is_left = tl.load(parents + row, mask=row < num_rows, other=-1) == row
    is_left = is_left & (tl.load(changed + row, mask=row < num_rows, other=0) != num_tokens)
    own = tl.load(columns + row, mask=row < num_rows, other=0)
    scale = tl.load(norms + own, mask=is_left, other=0.0)[None, :] / tl.where(new_norm > 0, new_norm, 1.0)[:, None]
    cell = products + new_row[:, None] * num_columns + own[None, :]
    product = tl.load(cell, mask=(new_norm > 0)[:, None] & is_left[None, :], other=0.0) * scale
    product = tl.trans(product)
    tl.store(products + row[:, None] * num_columns + first + new[None, :], product, mask=is_left[:, None])
    bound = tl.max(tl.where((new_norm > 0)[None, :], product, float("-inf")), axis=1)
    tl.store(bounds + row * num_blocks + part, bound, mask=is_left)


@triton.jit
def _add_to_changed(
    products, bounds, norms, columns, places, merged, target, num_merges, num_columns, num_blocks, first, mine,
    BLOCK_MERGES: tl.constexpr, BLOCK_ADD: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    row, others, ranks, count, rank = find_others(merged, target, num_merges, mine, BLOCK_MERGES)
    if rank == 0:
        new = tl.arange(0, BLOCK_MERGES)
        new_row = tl.load(target + new, mask=new < num_merges, other=0)
        new_norm = tl.load(norms + first + new)
        own = tl.load(columns + row)
        product = tl.load(products + new_row * num_columns + own, mask=new_norm > 0, other=0.0) * tl.load(norms + own)
        for start in range(0, count, BLOCK_ADD):
            other, is_other = pick(others, ranks, count, start, BLOCK_ADD)
            column = tl.load(columns + other, mask=is_other, other=0)
            cell = products + new_row[None, :] * num_columns + column[:, None]
            part = tl.load(cell, mask=is_other[:, None] & (new_norm > 0)[None, :], other=0.0)
            product += tl.sum(part * tl.load(norms + column)[:, None], axis=0)
        product = product / tl.where(new_norm > 0, new_norm, 1.0)
        tl.store(products + row * num_columns + first + new, product)
        product = tl.where((new_norm > 0) & (new != mine), product, float("-inf"))
        bound = tl.max(tl.reshape(product, (BLOCK_MERGES // COLUMNS, COLUMNS)), axis=1)
        tl.store(bounds + row * num_blocks + tl.arange(0, BLOCK_MERGES // COLUMNS), bound)
        tl.store(places + first + mine, tl.load(places + own))
        tl.debug_barrier()  # all threads have read the old column now
        tl.store(places + own, -1)
        tl.store(columns + row, first + mine)
