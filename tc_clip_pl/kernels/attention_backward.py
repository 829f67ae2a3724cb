"""The backward pass of `attention_forward.py`, without atomics: equal inputs give equal gradients.

With scores s, weights p = exp(s - log_sum_exp) and D = sum(dO * O): dV = p^T dO, ds = p (dO V^T - D), dQ = ds K and
dK = ds^T Q, times the scale. The gradient of the bias difference is the sum of ds over the context keys.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from tc_clip_pl.kernels.attention_forward import LOG2_E, empty_rows, frame_offset, load_rows

BLOCK_QUERY, BLOCK_KEY, BLOCK_CONTEXT = 64, 64, 64
ENOUGH_PROGRAMS = 528  # four for each multiprocessor
OPTIONS = {"num_warps": 4, "num_stages": 3}


@triton.jit
def sum_products(
    gradient, output, products, num_frames, num_heads, num_queries, g_b, g_t, g_h, g_n, o_b, o_t, o_h, o_n,
    BLOCK: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Compute D = sum(dO * O) of every query."""
    first, each = tl.program_id(0) * BLOCK, tl.program_id(1)
    gradient += frame_offset(each, num_frames, num_heads, g_b, g_t, g_h)
    output += frame_offset(each, num_frames, num_heads, o_b, o_t, o_h)
    left = load_rows(gradient, g_n, first, num_queries, BLOCK, WIDTH).to(tl.float32)
    right = load_rows(output, o_n, first, num_queries, BLOCK, WIDTH).to(tl.float32)
    n = first + tl.arange(0, BLOCK)
    tl.store(products + each.to(tl.int64) * num_queries + n, tl.sum(left * right, axis=1), mask=n < num_queries)


@triton.jit
def score_gradients(query, gradient, key, value, log_sum_exp, product, shift, scale: tl.constexpr):
    """Return weights and gradients of scores of a block of queries and keys, both (queries, keys)."""
    scores = tl.dot(query, tl.trans(key), input_precision="ieee") * scale + shift
    weights = tl.exp2(scores - log_sum_exp[:, None])
    return weights, weights * (tl.dot(gradient, tl.trans(value), input_precision="ieee") - product[:, None])


@triton.jit
def add_query_gradient(
    total, query, gradient, log_sum_exp, product, keys, values, key_stride, value_stride, count, shift,
    scale: tl.constexpr, BLOCK_KEY: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Add what `count` keys contribute to dQ."""
    for first in range(0, count, BLOCK_KEY):
        key = load_rows(keys, key_stride, first, count, BLOCK_KEY, WIDTH)  # rows of zeros beyond the last contribute 0
        value = load_rows(values, value_stride, first, count, BLOCK_KEY, WIDTH)
        _, scores = score_gradients(query, gradient, key, value, log_sum_exp, product, shift, scale)
        total = tl.dot(scores.to(key.dtype), key, total, input_precision="ieee")
    return total


@triton.jit
def query_gradient(
    query, key, value, context_key, context_value, difference, gradient, log_sum_exp, products, query_grad,
    num_frames, num_heads, num_queries, num_tokens, num_context,
    q_b, q_t, q_h, q_n, k_b, k_t, k_h, k_n, v_b, v_t, v_h, v_n, g_b, g_t, g_h, g_n, o_b, o_t, o_h, o_n,
    ck_b, ck_h, ck_n, cv_b, cv_h, cv_n,
    BLOCK_QUERY: tl.constexpr, BLOCK_KEY: tl.constexpr, WIDTH: tl.constexpr, scale: tl.constexpr, LOG2_E: tl.constexpr,
):  # fmt: skip
    """Compute dQ of a block of queries of one head of one frame."""
    first, each = tl.program_id(0) * BLOCK_QUERY, tl.program_id(1)
    head, clip = each % num_heads, (each // num_heads // num_frames).to(tl.int64)
    key += frame_offset(each, num_frames, num_heads, k_b, k_t, k_h)
    value += frame_offset(each, num_frames, num_heads, v_b, v_t, v_h)
    query += frame_offset(each, num_frames, num_heads, q_b, q_t, q_h)
    gradient += frame_offset(each, num_frames, num_heads, g_b, g_t, g_h)
    queries = load_rows(query, q_n, first, num_queries, BLOCK_QUERY, WIDTH)
    gradients = load_rows(gradient, g_n, first, num_queries, BLOCK_QUERY, WIDTH)
    n, row = first + tl.arange(0, BLOCK_QUERY), each.to(tl.int64) * num_queries
    lse = tl.load(log_sum_exp + row + n, mask=n < num_queries, other=float("inf"))
    product = tl.load(products + row + n, mask=n < num_queries, other=0.0)
    total = tl.zeros((BLOCK_QUERY, WIDTH), dtype=tl.float32)
    total = add_query_gradient(
        total, queries, gradients, lse, product, key, value, k_n, v_n, num_tokens, 0.0, scale * LOG2_E, BLOCK_KEY, WIDTH
    )
    total = add_query_gradient(
        total, queries, gradients, lse, product,
        context_key + clip * ck_b + head * ck_h, context_value + clip * cv_b + head * cv_h, ck_n, cv_n,
        num_context, tl.load(difference + head).to(tl.float32) * LOG2_E, scale * LOG2_E, BLOCK_KEY, WIDTH,
    )  # fmt: skip
    query_grad += frame_offset(each, num_frames, num_heads, o_b, o_t, o_h)
    at = n[:, None] * o_n + tl.arange(0, WIDTH)[None, :]
    tl.store(query_grad + at, (total * scale).to(query_grad.dtype.element_ty), mask=(n < num_queries)[:, None])


@triton.jit
def add_key_gradients(
    key_total, value_total, shift_total, key, value, query, gradient, log_sum_exp, products, query_stride,
    gradient_stride, count, shift, scale: tl.constexpr, BLOCK_QUERY: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Add what the `count` queries of one head of one frame contribute to dK, dV and the gradient of the shift."""
    for first in range(0, count, BLOCK_QUERY):
        n = first + tl.arange(0, BLOCK_QUERY)
        queries = load_rows(query, query_stride, first, count, BLOCK_QUERY, WIDTH)
        gradients = load_rows(gradient, gradient_stride, first, count, BLOCK_QUERY, WIDTH)
        lse = tl.load(log_sum_exp + n, mask=n < count, other=float("inf"))
        product = tl.load(products + n, mask=n < count, other=0.0)
        weights, scores = score_gradients(queries, gradients, key, value, lse, product, shift, scale)
        value_total = tl.dot(tl.trans(weights).to(value.dtype), gradients, value_total, input_precision="ieee")
        key_total = tl.dot(tl.trans(scores).to(key.dtype), queries, key_total, input_precision="ieee")
        shift_total += tl.sum(scores, axis=0)
    return key_total, value_total, shift_total


@triton.jit
def key_gradients(
    query, key, value, difference, gradient, log_sum_exp, products, key_grad, value_grad, shift_grad,
    num_frames, num_heads, num_queries, num_keys, frames_per_key,
    q_b, q_t, q_h, q_n, g_b, g_t, g_h, g_n, k_b, k_t, k_h, k_n, v_b, v_t, v_h, v_n, o_b, o_t, o_h, o_n,
    BLOCK_QUERY: tl.constexpr, BLOCK_KEY: tl.constexpr, WIDTH: tl.constexpr, scale: tl.constexpr, LOG2_E: tl.constexpr,
    IS_CONTEXT: tl.constexpr,
):  # fmt: skip
    """Compute dK and dV of a block of keys of one head, summed over the frames that read them.

    Keys of a frame are read by it alone, those of the context by all T frames, whose sum may be found in parts.
    """
    first, each = tl.program_id(0) * BLOCK_KEY, tl.program_id(1)
    head = each % num_heads
    num_groups = num_frames // frames_per_key  # T for frame keys, parts of the sum for context keys
    group = each // num_heads
    key += frame_offset(each, num_groups, num_heads, k_b, k_t, k_h)
    value += frame_offset(each, num_groups, num_heads, v_b, v_t, v_h)
    keys = load_rows(key, k_n, first, num_keys, BLOCK_KEY, WIDTH)
    values = load_rows(value, v_n, first, num_keys, BLOCK_KEY, WIDTH)
    key_total = tl.zeros((BLOCK_KEY, WIDTH), dtype=tl.float32)
    value_total = tl.zeros((BLOCK_KEY, WIDTH), dtype=tl.float32)
    shift_total = tl.zeros((BLOCK_KEY,), dtype=tl.float32)
    shift = 0.0
    if IS_CONTEXT:
        shift = tl.load(difference + head).to(tl.float32) * LOG2_E
    for frame in range(group * frames_per_key, (group + 1) * frames_per_key):
        index = frame * num_heads + head
        row = index.to(tl.int64) * num_queries
        key_total, value_total, shift_total = add_key_gradients(
            key_total, value_total, shift_total, keys, values,
            query + frame_offset(index, num_frames, num_heads, q_b, q_t, q_h),
            gradient + frame_offset(index, num_frames, num_heads, g_b, g_t, g_h),
            log_sum_exp + row, products + row, q_n, g_n, num_queries, shift, scale * LOG2_E, BLOCK_QUERY, WIDTH,
        )  # fmt: skip
    n = first + tl.arange(0, BLOCK_KEY)
    at, mask = n[:, None] * o_n + tl.arange(0, WIDTH)[None, :], (n < num_keys)[:, None]
    offset = frame_offset(each, num_groups, num_heads, o_b, o_t, o_h)
    tl.store(key_grad + offset + at, (key_total * scale).to(key_grad.dtype.element_ty), mask=mask)
    tl.store(value_grad + offset + at, value_total.to(value_grad.dtype.element_ty), mask=mask)
    if IS_CONTEXT:
        tl.store(shift_grad + each * num_keys + n, shift_total, mask=n < num_keys)


def run_backward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    context_key: Tensor,
    context_value: Tensor,
    difference: Tensor,
    output: Tensor,
    log_sum_exp: Tensor,
    gradient: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Launch the kernels; the arguments are those of `run_forward`, its results, and the gradient of its output.

    Returns:
        The gradients of the first six arguments.
    """
    context = (context_key, context_value)
    batch, frames, heads, queries, width = query.shape
    tokens, num_context, scale = key.shape[-2], context_key.shape[-2], width**-0.5
    products = torch.empty_like(log_sum_exp)
    query_blocks, all_heads = triton.cdiv(queries, BLOCK_QUERY), batch * frames * heads
    sum_products[(query_blocks, all_heads)](
        gradient, output, products, frames, heads, queries, *gradient.stride()[:4], *output.stride()[:4],
        BLOCK_QUERY, width,
    )  # fmt: skip
    query_grad = empty_rows(query)
    query_gradient[(query_blocks, all_heads)](
        query, key, value, context_key, context_value, difference, gradient, log_sum_exp, products, query_grad,
        frames, heads, queries, tokens, num_context,
        *query.stride()[:4], *key.stride()[:4], *value.stride()[:4], *gradient.stride()[:4], *query_grad.stride()[:4],
        *context_key.stride()[:3], *context_value.stride()[:3],
        BLOCK_QUERY, BLOCK_KEY, width, scale, LOG2_E, **OPTIONS,
    )  # fmt: skip
    shared = (difference, gradient, log_sum_exp, products)
    strides = (*query.stride()[:4], *gradient.stride()[:4])
    key_grad, value_grad = empty_rows(key), empty_rows(value)
    key_gradients[(triton.cdiv(tokens, BLOCK_KEY), all_heads)](
        query, key, value, *shared, key_grad, value_grad, None,
        frames, heads, queries, tokens, 1,
        *strides, *key.stride()[:4], *value.stride()[:4], *key_grad.stride()[:4],
        BLOCK_QUERY, BLOCK_KEY, width, scale, LOG2_E, False, **OPTIONS,
    )  # fmt: skip
    # All frames read the context. What their queries contribute to its keys is summed by parts of the frames.
    num_blocks = triton.cdiv(num_context, BLOCK_CONTEXT)
    num_parts = _count_parts(frames, num_blocks * batch * heads)
    context_keys, context_values = (each.unsqueeze(1).expand(-1, num_parts, -1, -1, -1) for each in context)
    key_parts, value_parts = (torch.empty_like(each, dtype=torch.float32) for each in (context_keys, context_values))
    shift_grad = query.new_empty(batch, num_parts, heads, num_context, dtype=torch.float32)
    key_gradients[(num_blocks, batch * num_parts * heads)](
        query, context_keys, context_values, *shared, key_parts, value_parts, shift_grad,
        frames, heads, queries, num_context, frames // num_parts,
        *strides, *context_keys.stride()[:4], *context_values.stride()[:4], *key_parts.stride()[:4],
        BLOCK_QUERY, BLOCK_CONTEXT, width, scale, LOG2_E, True, **OPTIONS,
    )  # fmt: skip
    context_key_grad, context_value_grad = (
        empty_rows(each).copy_(parts.sum(1)) for each, parts in zip(context, (key_parts, value_parts), strict=True)
    )
    difference_grad = shift_grad.sum(dim=(0, 1, 3)).to(difference.dtype)
    return query_grad, key_grad, value_grad, context_key_grad, context_value_grad, difference_grad


def _count_parts(num_frames: int, num_programs: int) -> int:
    """Return into how many parts the sum over frames is divided: the fewest that keep a GPU busy."""
    divisors = [parts for parts in range(1, num_frames + 1) if num_frames % parts == 0]
    return next((parts for parts in divisors if parts * num_programs >= ENOUGH_PROGRAMS), num_frames)
