"""The kernels that add the products of merged tokens to those of their partners; `product_kernels.py` says why."""

import triton
import triton.language as tl

from tc_clip_pl.kernels.merge_kernels import add_tokens, find_others, pick


@triton.jit(do_not_specialize=["num_merges", "num_used"])
def add_rows(
    sums, high, low, norms, parents, arrivals, products, bounds, columns, places, merged, target, num_merges,
    num_rows, num_columns, num_blocks, num_used, max_merges, width: tl.constexpr, BLOCK_MERGES: tl.constexpr,
    BLOCK_WIDTH: tl.constexpr, BLOCK_ADD: tl.constexpr, BLOCK: tl.constexpr, FEW: tl.constexpr,
    COLUMNS: tl.constexpr,
):  # fmt: skip
    """Add each merged token to its partner, as `merge_tokens` does, and its row of products to that of its partner."""
    clip, mine = tl.program_id(2).to(tl.int64), tl.program_id(0)
    if tl.program_id(1) == 0:
        norm, first_merge, ends = add_tokens(
            sums, high, low, parents, arrivals, merged, target, num_merges, num_rows, max_merges, clip, mine,
            width, BLOCK_MERGES, BLOCK_WIDTH, BLOCK_ADD,
        )  # fmt: skip
        tl.store(norms + clip * num_columns + num_used * COLUMNS + first_merge, norm, mask=ends)
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
        column = tl.load(columns + others, mask=ranks >= 0, other=0)
        weight = tl.load(norms + column, mask=ranks >= 0, other=0.0)
        own = tl.load(columns + row)
        product = tl.load(products + new_row * num_columns + own, mask=new_norm > 0, other=0.0) * tl.load(norms + own)
        product += _sum_columns(
            products, new_row, new_norm > 0, column, weight, ranks, count, num_columns, BLOCK_MERGES, BLOCK_ADD
        )
        product = product / tl.where(new_norm > 0, new_norm, 1.0)
        tl.store(products + row * num_columns + first + new, product)
        product = tl.where((new_norm > 0) & (new != mine), product, float("-inf"))
        bound = tl.max(tl.reshape(product, (BLOCK_MERGES // COLUMNS, COLUMNS)), axis=1)
        tl.store(bounds + row * num_blocks + tl.arange(0, BLOCK_MERGES // COLUMNS), bound)
        tl.store(places + first + mine, tl.load(places + own))
        tl.debug_barrier()  # all threads have read the old column now
        tl.store(places + own, -1)
        tl.store(columns + row, first + mine)


@triton.jit
def _sum_columns(
    products, new_row, is_new, column, weight, ranks, count, num_columns,
    BLOCK_MERGES: tl.constexpr, BLOCK_ADD: tl.constexpr,
):  # fmt: skip
    """Add up the products of the new tokens, one for each merge that `is_new`, with the `count` merged ones."""
    total = tl.zeros((BLOCK_MERGES,), dtype=tl.float32)
    slots = tl.where(is_new, tl.cumsum(is_new.to(tl.int32), axis=0) - 1, -1)
    num_new = tl.max(slots, axis=0) + 1
    # A few of the shorter list at a time, with all of the other one.
    if count <= num_new:
        for start in range(0, count, BLOCK_ADD):
            some_columns, is_some = pick(column, ranks, count, start, BLOCK_ADD)
            some_weights, _ = pick(weight, ranks, count, start, BLOCK_ADD)
            cell = products + new_row[None, :] * num_columns + some_columns[:, None]
            part = tl.load(cell, mask=is_some[:, None] & is_new[None, :], other=0.0)
            total += tl.sum(part * some_weights[:, None], axis=0)
    else:
        for start in range(0, num_new, BLOCK_ADD):
            some_rows, is_some = pick(new_row, slots, num_new, start, BLOCK_ADD)
            cell = products + some_rows[:, None] * num_columns + column[None, :]
            part = tl.load(cell, mask=is_some[:, None] & (ranks >= 0)[None, :], other=0.0)
            sums = tl.sum(part * weight[None, :], axis=1)
            is_slot = slots[None, :] == (start + tl.arange(0, BLOCK_ADD))[:, None]
            total += tl.sum(tl.where(is_slot, sums[:, None], 0.0), axis=0)
    return total
