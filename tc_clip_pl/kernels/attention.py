"""The kernels of `attention_forward.py` and `attention_backward.py` as one operator of PyTorch."""

from typing import Any

import torch
from torch import Tensor

from tc_clip_pl.kernels.attention_backward import run_backward
from tc_clip_pl.kernels.attention_forward import empty_rows, run_forward


def attend_with_context(
    query: Tensor, key: Tensor, value: Tensor, context_key: Tensor, context_value: Tensor, difference: Tensor
) -> Tensor:
    """Compute Eq. 7 with the bias of Eq. 8; equals `ops.attention.context_attention` over joined keys.

    Args:
        query: (B, T, H, Q, d) float32, float16 or bfloat16; d is a power of two, at least 16.
        key: (B, T, H, N, d).
        value: (B, T, H, N, d).
        context_key: (B, H, K, d).
        context_value: (B, H, K, d).
        difference: (H,), bias of the context keys less that of the frame keys.

    Returns:
        (B, T, H, Q, d).
    """
    tensors = (query, key, value, context_key, context_value)
    return _forward(*(rows_together(tensor) for tensor in tensors), difference)[0]


def rows_together(tensor: Tensor) -> Tensor:
    """Return the tensor with the features of a row next to each other in memory, as the kernels read them."""
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


_forward = torch.library.custom_op("tcclip::attend_with_context", run_forward, mutates_args=())
_backward = torch.library.custom_op("tcclip::attend_with_context_backward", run_backward, mutates_args=())


@_forward.register_fake
def _(query: Tensor, *others: Tensor) -> tuple[Tensor, Tensor]:
    return empty_rows(query), query.new_empty(query.shape[:-1], dtype=torch.float32)


@_backward.register_fake
def _(*tensors: Tensor) -> tuple[Tensor, ...]:
    rows, difference = tensors[:5], tensors[5]
    return *(empty_rows(tensor) for tensor in rows), torch.empty_like(difference)


def _save(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs, *output)
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, gradient: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
    if gradient is None:
        return (None,) * 6
    return _backward(*ctx.saved_tensors, rows_together(gradient))


_forward.register_autograd(_differentiate, setup_context=_save)
