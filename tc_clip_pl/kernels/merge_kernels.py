"""The kernels that add merged tokens to their partners (Eq. 6): of every round, on products or without."""

import triton
import triton.language as tl

from tc_clip_pl.kernels.round_kernels import store_unit

# If more than BLOCK_ADD tokens merge into the same one, so many of their merges add up a share of the features each.
SHARES = tl.constexpr(8)


@triton.jit(do_not_specialize=["num_merges"])
def merge_tokens(
    sums, high, low, parents, arrivals, merged, target, num_merges, num_rows, max_merges, width: tl.constexpr,
    BLOCK_MERGES: tl.constexpr, BLOCK_WIDTH: tl.constexpr, BLOCK_ADD: tl.constexpr,
):  # fmt: skip
    """Add each merged token to its partner, in the order of the merges."""
    add_tokens(
        sums, high, low, parents, arrivals, merged, target, num_merges, num_rows, max_merges,
        tl.program_id(1).to(tl.int64), tl.program_id(0), width, BLOCK_MERGES, BLOCK_WIDTH, BLOCK_ADD,
    )  # fmt: skip


@triton.jit
def add_tokens(
    sums, high, low, parents, arrivals, merged, target, num_merges, num_rows, max_merges, clip, mine,
    width: tl.constexpr, BLOCK_MERGES: tl.constexpr, BLOCK_WIDTH: tl.constexpr, BLOCK_ADD: tl.constexpr,
):  # fmt: skip
    """Do the part of the merge `mine` in `merge_tokens`.

    Returns:
        norm: That of the sum, if `ends`.
        first: The first merge with this partner.
        ends: Whether this merge completed the sum and wrote its unit vector, as one of those with this partner does.
    """
    merged += clip * max_merges
    target += clip * max_merges
    row, others, ranks, count, rank = find_others(merged, target, num_merges, mine, BLOCK_MERGES)
    tl.store(parents + clip * num_rows + tl.load(merged + mine), row)
    sums += clip * num_rows * width
    d = tl.arange(0, BLOCK_WIDTH)
    ends = rank == 0
    if count <= BLOCK_ADD:
        other, is_other = pick(others, ranks, count, 0, BLOCK_ADD)
        mask = is_other[:, None] & (d < width)[None, :] & ends
        total = tl.load(sums + row * width + d, mask=(d < width) & ends, other=0.0)
        total += tl.sum(tl.load(sums + other[:, None] * width + d[None, :], mask=mask, other=0.0), axis=0)
        tl.store(sums + row * width + d, total, mask=(d < width) & ends)
    else:
        ends = _add_share(
            sums, arrivals + clip * num_rows + row, merged, target, num_merges, row, rank,
            width, BLOCK_MERGES, BLOCK_WIDTH, BLOCK_ADD,
        )  # fmt: skip
        total = tl.load(sums + row * width + d, mask=(d < width) & ends, other=0.0, cache_modifier=".cg")
    offset = (clip * num_rows + row) * width
    norm = store_unit(total, high + offset, low + offset, d, (d < width) & ends)
    return norm, tl.min(tl.where(ranks == 0, tl.arange(0, BLOCK_MERGES), BLOCK_MERGES), axis=0), ends


@triton.jit
def _add_share(
    sums, arrivals, merged, target, num_merges, row, rank, width: tl.constexpr,
    BLOCK_MERGES: tl.constexpr, BLOCK_WIDTH: tl.constexpr, BLOCK_ADD: tl.constexpr,
):  # fmt: skip
    """Add up the share of the features that is this merge's, if it has one; return whether it is the last to do so."""
    tl.static_assert(BLOCK_ADD >= SHARES, "there must be a merge for every share")
    num_shares: tl.constexpr = SHARES if BLOCK_WIDTH > SHARES else BLOCK_WIDTH
    is_last = False
    if rank < num_shares:
        feature = rank * (BLOCK_WIDTH // num_shares) + tl.arange(0, BLOCK_WIDTH // num_shares)
        share = tl.load(sums + row * width + feature, mask=feature < width, other=0.0)
        for start in range(0, num_merges, 4 * BLOCK_ADD):
            merge = start + tl.arange(0, 4 * BLOCK_ADD)
            joins = tl.load(target + merge, mask=merge < num_merges, other=-1) == row
            other = tl.load(merged + merge, mask=joins, other=0)
            mask = joins[:, None] & (feature < width)[None, :]
            share += tl.sum(tl.load(sums + other[:, None] * width + feature[None, :], mask=mask, other=0.0), axis=0)
        tl.store(sums + row * width + feature, share, mask=feature < width)
        tl.debug_barrier()  # all threads have written
        is_last = tl.atomic_add(arrivals, 1, sem="acq_rel") == num_shares - 1
        tl.store(arrivals, 0, mask=is_last)
    return is_last


@triton.jit
def find_others(merged, target, num_merges, mine, BLOCK_MERGES: tl.constexpr):
    """Find the rows that merge into the same row as that of the merge `mine`.

    Returns:
        row: The partner's row.
        others: (BLOCK_MERGES,) the merged rows, 0 at all other merges.
        ranks: (BLOCK_MERGES,) their ranks among them, -1 at all other merges.
        count: How many they are.
        rank: That of `mine` among them.
    """
    merges = tl.arange(0, BLOCK_MERGES)
    row = tl.load(target + mine)
    joins = tl.load(target + merges, mask=merges < num_merges, other=-1) == row
    others = tl.load(merged + merges, mask=joins, other=0)
    ranks = tl.where(joins, tl.cumsum(joins.to(tl.int32), axis=0) - 1, -1)
    rank = tl.sum((joins & (merges < mine)).to(tl.int32), axis=0)
    return row, others, ranks, tl.sum(joins.to(tl.int32), axis=0), rank


@triton.jit
def pick(values, ranks, count, start, BLOCK_ADD: tl.constexpr):
    """Return the (BLOCK_ADD,) values whose ranks are `start` and those that follow, and which of them there are."""
    wanted = start + tl.arange(0, BLOCK_ADD)
    picked = tl.sum(tl.where(ranks[None, :] == wanted[:, None], values[None, :], 0), axis=1)
    return picked, wanted < count
