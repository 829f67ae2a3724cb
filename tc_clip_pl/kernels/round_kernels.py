"""The kernels of bipartite matching: `ops/aggregation/bipartite.py` says what a round does, `rounds.py` runs them.

Tokens stay where they are: a round only rewrites the list of the rows that are left, and adds merged rows to those of
their partners. Every sum has a fixed order and ties go to the lower index, so that equal inputs give equal groups.
"""

import triton
import triton.language as tl


@triton.jit
def normalize_rows(sums, high, low, norms, num_rows, num_columns, width: tl.constexpr, BLOCK_WIDTH: tl.constexpr):
    """Write the norm and the unit vector of every row, as two float16 halves whose sum is within 3e-8 of it."""
    row, d = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK_WIDTH)
    total = tl.load(sums + row * width + d, mask=d < width, other=0.0)
    norm = store_unit(total, high + row * width, low + row * width, d, d < width)
    if norms is not None:
        tl.store(norms + row // num_rows * num_columns + row % num_rows, norm)


@triton.jit
def store_unit(total, high, low, d, mask):
    """Write the unit vector of a sum as two halves, and return its norm."""
    norm = tl.maximum(tl.sqrt(tl.sum(total * total, axis=0)), 1e-12)
    unit = total / norm
    rounded = unit.to(tl.float16)
    tl.store(high + d, rounded, mask=mask)
    tl.store(low + d, (unit - rounded.to(tl.float32)).to(tl.float16), mask=mask)
    return norm


@triton.jit
def multiply(
    high, low, row_a, row_b, width: tl.constexpr,
    BLOCK_A: tl.constexpr, BLOCK_B: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Multiply the unit vectors at the offsets (BLOCK_A, 1) and (1, BLOCK_B) with the accuracy of float32.

    One product of halves would decide by rounding. Three have that accuracy on tensor cores; that of the two low halves
    is below it and left out.
    """
    cosines = tl.zeros((BLOCK_A, BLOCK_B), dtype=tl.float32)
    for start in range(0, width, BLOCK_D):
        d = start + tl.arange(0, BLOCK_D)
        across, down = (d < width)[None, :], (d < width)[:, None]
        high_a = tl.load(high + row_a + d[None, :], mask=across, other=0.0)
        high_b = tl.load(high + row_b + d[:, None], mask=down, other=0.0)
        low_a = tl.load(low + row_a + d[None, :], mask=across, other=0.0)
        low_b = tl.load(low + row_b + d[:, None], mask=down, other=0.0)
        cosines = tl.dot(low_a, high_b, cosines)
        cosines = tl.dot(high_a, low_b, cosines)
        cosines = tl.dot(high_a, high_b, cosines)
    return cosines


@triton.jit(do_not_specialize=["num_tokens"])
def find_partners(
    high, low, rows, best, num_tokens, num_rows, width: tl.constexpr,
    BLOCK_A: tl.constexpr, BLOCK_B: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Find the best partner in B of each token of A: best (B, n) int64, cosine above, index below (see `pack`)."""
    clip = tl.program_id(1).to(tl.int64)
    num_a, num_b = (num_tokens + 1) // 2, num_tokens // 2
    num_column_blocks = tl.cdiv(num_b, BLOCK_B)
    a = tl.program_id(0) // num_column_blocks * BLOCK_A + tl.arange(0, BLOCK_A)
    b = tl.program_id(0) % num_column_blocks * BLOCK_B + tl.arange(0, BLOCK_B)
    rows += clip * num_rows
    offset = clip * num_rows * width
    row_a = (tl.load(rows + 2 * a, mask=a < num_a, other=0) * width)[:, None]
    row_b = (tl.load(rows + 2 * b + 1, mask=b < num_b, other=0) * width)[None, :]
    cosines = multiply(high + offset, low + offset, row_a, row_b, width, BLOCK_A, BLOCK_B, BLOCK_D)
    cosines = tl.where((b < num_b)[None, :], cosines, float("-inf"))
    value, column = tl.max(cosines, axis=1, return_indices=True)
    partner = tl.minimum(tl.program_id(0) % num_column_blocks * BLOCK_B + column, num_b - 1)
    tl.atomic_max(best + clip * num_rows + a, pack(value, partner), mask=a < num_a, sem="relaxed")


@triton.jit
def pack(value, index):
    """Pack a float32 and an index into an int64 that orders by value, then by the lower index."""
    return (order(value).to(tl.int64) << 32) | (0x7FFFFFFF - index).to(tl.int64)


@triton.jit
def order(value):
    """Return the bits of a float32 as an int32 of the same order: negative ones are mirrored."""
    bits = value.to(tl.int32, bitcast=True)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


@triton.jit(do_not_specialize=["num_tokens", "num_merges"])
def rank_tokens(
    best, next_best, rows, next_rows, merged, target, columns, places, changed, num_tokens, num_merges, num_rows,
    num_columns, max_merges, least, BLOCK_RANK: tl.constexpr, BLOCK_CHUNK: tl.constexpr,
):  # fmt: skip
    """Rank the tokens of A by their best cosine: the first r merge, the others precede all of B in the next round.

    Rounds on products keep the place in that order of every column too, and which rows changed in which round.
    """
    clip = tl.program_id(1).to(tl.int64)
    num_a, num_b = (num_tokens + 1) // 2, num_tokens // 2
    best += clip * num_rows
    next_best += clip * num_rows
    rows += clip * num_rows
    next_rows += clip * num_rows
    a = tl.program_id(0) * BLOCK_RANK + tl.arange(0, BLOCK_RANK)
    packed = tl.load(best + a, mask=a < num_a, other=0)
    tl.store(next_best + a, least, mask=a < num_a)
    mine = _replace_index(packed, a)
    rank = tl.zeros((BLOCK_RANK,), dtype=tl.int32)
    for start in range(0, num_a, BLOCK_CHUNK):
        other = start + tl.arange(0, BLOCK_CHUNK)
        rival = _replace_index(tl.load(best + other, mask=other < num_a, other=least), other)
        rank += tl.sum((rival[None, :] > mine[:, None]).to(tl.int32), axis=1)
    partner = 0x7FFFFFFF - (packed & 0x7FFFFFFF).to(tl.int32)
    row_a = tl.load(rows + 2 * a, mask=a < num_a, other=0)
    row_b = tl.load(rows + 2 * a + 1, mask=a < num_b, other=0)
    row_partner = tl.load(rows + 2 * partner + 1, mask=a < num_a, other=0)
    merges, stays = (a < num_a) & (rank < num_merges), (a < num_a) & (rank >= num_merges)
    place_b = num_a - num_merges + a
    tl.store(merged + clip * max_merges + rank, row_a, mask=merges)
    tl.store(target + clip * max_merges + rank, row_partner, mask=merges)
    tl.store(next_rows + rank - num_merges, row_a, mask=stays)
    tl.store(next_rows + place_b, row_b, mask=a < num_b)
    if places is not None:
        columns += clip * num_rows
        places += clip * num_columns
        tl.store(places + tl.load(columns + row_a), tl.where(stays, rank - num_merges, -1), mask=a < num_a)
        tl.store(places + tl.load(columns + row_b), place_b, mask=a < num_b)
        tl.store(changed + clip * num_rows + row_partner, num_tokens, mask=merges)


@triton.jit
def _replace_index(packed, index):
    return (packed & -0x100000000) | (0x7FFFFFFF - index).to(tl.int64)


@triton.jit(do_not_specialize=["num_rounds", "num_groups"])
def label_seeds(parents, rows, labels, groups, num_rows, num_rounds, num_groups, BLOCK: tl.constexpr):
    """Follow every seed to the row that it ended in, and name the group by the place of that row in the last list."""
    clip = tl.program_id(0).to(tl.int64)
    for start in range(0, num_groups, BLOCK):
        place = start + tl.arange(0, BLOCK)
        row = tl.load(rows + clip * num_rows + place, mask=place < num_groups, other=0)
        tl.store(labels + clip * num_rows + row, place, mask=place < num_groups)
    tl.debug_barrier()  # other threads of this program read the labels
    for start in range(0, num_rows, BLOCK):
        seed = start + tl.arange(0, BLOCK)
        row = seed
        for _ in range(num_rounds):
            row = tl.load(parents + clip * num_rows + row, mask=seed < num_rows, other=0)
        label = tl.load(labels + clip * num_rows + row, mask=seed < num_rows, other=0)
        tl.store(groups + clip * num_rows + seed, label.to(tl.int64), mask=seed < num_rows)
