"""Frame and context attention in one kernel (Eqs. 7 and 8): the keys of both are read where they are, never joined.

Softmax ignores a shift, so of the two biases of Eq. 8 only the difference ``global - local`` is added, to the context
scores. Exponentials are powers of two, which the hardware has: scores are multiplied by log2(e) beforehand.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

LOG2_E = 1.4426950408889634
BLOCK_QUERY, BLOCK_KEY = 128, 32
OPTIONS = {"num_warps": 4, "num_stages": 3}


@triton.jit
def frame_offset(frame_and_head, num_frames, num_heads, stride_b, stride_t, stride_h):
    """Return the offset of one head of one frame in a (B, T, H, N, d) tensor."""
    frame, head = frame_and_head // num_heads, (frame_and_head % num_heads).to(tl.int64)
    clip, time = (frame // num_frames).to(tl.int64), (frame % num_frames).to(tl.int64)
    return clip * stride_b + time * stride_t + head * stride_h


@triton.jit
def load_rows(start, stride, first, count, BLOCK: tl.constexpr, WIDTH: tl.constexpr):
    """Load (BLOCK, WIDTH) rows from `first` on; rows from `count` on are zero."""
    n, d = first + tl.arange(0, BLOCK), tl.arange(0, WIDTH)
    return tl.load(start + n[:, None] * stride + d[None, :], mask=(n < count)[:, None], other=0.0)


@triton.jit
def attend(
    output, total, highest, query, keys, values, key_stride, value_stride, count, shift,
    scale: tl.constexpr, BLOCK_KEY: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Add `count` keys to an online softmax; scale and shift of the scores are in powers of two."""
    for first in range(0, count, BLOCK_KEY):
        key = load_rows(keys, key_stride, first, count, BLOCK_KEY, WIDTH)
        scores = tl.dot(query, tl.trans(key), input_precision="ieee") * scale + shift
        scores = tl.where((first + tl.arange(0, BLOCK_KEY) < count)[None, :], scores, float("-inf"))
        new_highest = tl.maximum(highest, tl.max(scores, axis=1))
        weights = tl.exp2(scores - new_highest[:, None])
        decay = tl.exp2(highest - new_highest)
        value = load_rows(values, value_stride, first, count, BLOCK_KEY, WIDTH)
        output = tl.dot(weights.to(value.dtype), value, output * decay[:, None], input_precision="ieee")
        total, highest = total * decay + tl.sum(weights, axis=1), new_highest
    return output, total, highest


@triton.jit
def attention_forward(
    query, key, value, context_key, context_value, difference, output, log_sum_exp,
    num_frames, num_heads, num_queries, num_tokens, num_context,
    q_b, q_t, q_h, q_n, k_b, k_t, k_h, k_n, v_b, v_t, v_h, v_n, o_b, o_t, o_h, o_n,
    ck_b, ck_h, ck_n, cv_b, cv_h, cv_n,
    BLOCK_QUERY: tl.constexpr, BLOCK_KEY: tl.constexpr, WIDTH: tl.constexpr, scale: tl.constexpr, LOG2_E: tl.constexpr,
):  # fmt: skip
    """Attend for a block of queries of one head of one frame."""
    first, each = tl.program_id(0) * BLOCK_QUERY, tl.program_id(1)
    head, clip = each % num_heads, (each // num_heads // num_frames).to(tl.int64)
    query += frame_offset(each, num_frames, num_heads, q_b, q_t, q_h)
    key += frame_offset(each, num_frames, num_heads, k_b, k_t, k_h)
    value += frame_offset(each, num_frames, num_heads, v_b, v_t, v_h)
    output += frame_offset(each, num_frames, num_heads, o_b, o_t, o_h)
    queries = load_rows(query, q_n, first, num_queries, BLOCK_QUERY, WIDTH)
    state = tl.zeros((BLOCK_QUERY, WIDTH), dtype=tl.float32)
    total = tl.zeros((BLOCK_QUERY,), dtype=tl.float32)
    highest = tl.full((BLOCK_QUERY,), float("-inf"), dtype=tl.float32)
    state, total, highest = attend(
        state, total, highest, queries, key, value, k_n, v_n, num_tokens, 0.0, scale * LOG2_E, BLOCK_KEY, WIDTH
    )
    shift = tl.load(difference + head).to(tl.float32) * LOG2_E
    state, total, highest = attend(
        state, total, highest, queries,
        context_key + clip * ck_b + head * ck_h, context_value + clip * cv_b + head * cv_h, ck_n, cv_n,
        num_context, shift, scale * LOG2_E, BLOCK_KEY, WIDTH,
    )  # fmt: skip
    n, d = first + tl.arange(0, BLOCK_QUERY), tl.arange(0, WIDTH)
    state = state / total[:, None]
    tl.store(output + n[:, None] * o_n + d[None, :], state.to(output.dtype.element_ty), mask=(n < num_queries)[:, None])
    tl.store(log_sum_exp + each.to(tl.int64) * num_queries + n, highest + tl.log2(total), mask=n < num_queries)


def run_forward(
    query: Tensor, key: Tensor, value: Tensor, context_key: Tensor, context_value: Tensor, difference: Tensor
) -> tuple[Tensor, Tensor]:
    """Launch the kernel; shapes as in `kernels.attention.attend_with_context`.

    Returns:
        output: (B, T, H, Q, d).
        log_sum_exp: (B, T, H, Q) float32, of the scores in powers of two, which the backward pass reads.
    """
    batch, frames, heads, queries, width = query.shape
    output = empty_rows(query)
    log_sum_exp = query.new_empty(query.shape[:-1], dtype=torch.float32)
    grid = (triton.cdiv(queries, BLOCK_QUERY), batch * frames * heads)
    attention_forward[grid](
        query, key, value, context_key, context_value, difference, output, log_sum_exp,
        frames, heads, queries, key.shape[-2], context_key.shape[-2],
        *query.stride()[:4], *key.stride()[:4], *value.stride()[:4], *output.stride()[:4],
        *context_key.stride()[:3], *context_value.stride()[:3],
        BLOCK_QUERY, BLOCK_KEY, width, width**-0.5, LOG2_E, **OPTIONS,
    )  # fmt: skip
    return output, log_sum_exp


def empty_rows(like: Tensor) -> Tensor:
    """Return an empty (..., H, N, d) tensor with the heads of a token side by side: joining them copies nothing."""
    *outer, heads, tokens, width = like.shape
    return like.new_empty(*outer, tokens, heads, width).transpose(-3, -2)
