"""`tcclip benchmark attention`: Eq. 7 of one layer, beside the attention of frames over themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from tc_clip_pl.benchmarks.candidates import COMPILED, PLAIN
from tc_clip_pl.benchmarks.compare import compiled_for_any_shape
from tc_clip_pl.benchmarks.kernels import TRITON, shapes, time_operation
from tc_clip_pl.benchmarks.rows import Row
from tc_clip_pl.benchmarks.settings import Settings
from tc_clip_pl.ops.attention import context_attention, join_keys, key_bias

# (query, key, value, context key, context value, difference of the biases) -> output
Attend = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
FORWARD, BOTH = "forward", "both"
BACKWARD_PRODUCTS = 2.5  # matrix products of a backward pass over those of a forward pass: five for two


def benchmark_attention(settings: Settings) -> Iterator[Row]:
    """Time one layer's attention: forward, and forward and backward, for every implementation and shape.

    The tensors are bfloat16 on a GPU and float32 on a CPU.

    Args:
        settings: The settings; the classes are not read.
    """
    with compiled_for_any_shape(settings):
        for shape in shapes(settings):
            tensors = _random_tensors(settings, **shape)
            for direction in (FORWARD, BOTH):
                labels = {**shape, "pass": direction}
                for name in settings.kernels:
                    run = partial(_run, _implementation(name), tensors, direction)
                    work = _count(tensors, direction, with_context=True)
                    yield time_operation("with context", run, settings, {"kernels": name, **labels}, work)
                run = partial(_run, _frames_alone, tensors, direction)
                work = _count(tensors, direction, with_context=False)
                yield time_operation("frame alone", run, settings, {"kernels": "auto", **labels}, work, baseline=True)


def count_rows(settings: Settings) -> int:
    """Return how many rows `benchmark_attention` yields."""
    return len(list(shapes(settings))) * 2 * (len(settings.kernels) + 1)


def _implementation(name: str) -> Attend:
    if name == TRITON:
        return import_module("tc_clip_pl.kernels.attention").attend_with_context
    return torch.compile(_plain, dynamic=False) if name == COMPILED else {PLAIN: _plain}[name]


def _plain(
    query: Tensor, key: Tensor, value: Tensor, context_key: Tensor, context_value: Tensor, difference: Tensor
) -> Tensor:
    bias = torch.stack((torch.zeros_like(difference), difference), dim=-1)
    keys, values = join_keys(key, context_key), join_keys(value, context_value)
    return context_attention(query, keys, values, key_bias(bias, key.shape[-2], context_key.shape[-2]))


def _frames_alone(query: Tensor, key: Tensor, value: Tensor, *_: Tensor) -> Tensor:
    return scaled_dot_product_attention(*(tensor.flatten(0, 1) for tensor in (query, key, value)))


def _run(attend: Attend, tensors: list[Tensor], direction: str) -> None:
    if direction == FORWARD:
        with torch.no_grad():
            attend(*tensors)
        return
    output = attend(*tensors)
    read = tensors if attend is not _frames_alone else tensors[:3]
    torch.autograd.grad(output, read, torch.ones_like(output))


def _random_tensors(settings: Settings, batch_size: int, num_frames: int) -> list[Tensor]:
    config, is_cuda = settings.config, settings.device.type == "cuda"
    heads = config.vision_config.num_attention_heads
    width, tokens = config.vision_config.hidden_size // heads, config.num_patches + 1
    options = {"device": settings.device, "dtype": torch.bfloat16 if is_cuda else torch.float32, "requires_grad": True}
    frame = [torch.randn(batch_size, num_frames, heads, tokens, width, **options) for _ in range(3)]
    context = [torch.randn(batch_size, heads, config.num_context_tokens, width, **options) for _ in range(2)]
    return [*frame, *context, torch.randn(heads, device=settings.device, requires_grad=True)]


def _count(tensors: list[Tensor], direction: str, with_context: bool) -> int:
    query, context = tensors[0], tensors[3].shape[-2] if with_context else 0
    forward = 2 * query.numel() * (query.shape[-2] + context)  # the scores, and the weighted values
    return round(forward * (1 + BACKWARD_PRODUCTS if direction == BOTH else 1))
