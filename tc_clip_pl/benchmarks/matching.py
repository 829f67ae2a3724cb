"""`tcclip benchmark matching`: the rounds of bipartite matching of one layer (Eq. 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module

import torch
from torch import Tensor

from tc_clip_pl.benchmarks.candidates import COMPILED, PLAIN
from tc_clip_pl.benchmarks.compare import compiled_for_any_shape
from tc_clip_pl.benchmarks.kernels import TRITON, shapes, time_operation
from tc_clip_pl.benchmarks.rows import Row
from tc_clip_pl.benchmarks.settings import Settings
from tc_clip_pl.ops.aggregation.bipartite import match_tokens, merge_schedule


def benchmark_matching(settings: Settings) -> Iterator[Row]:
    """Time the matching of random seeds, in float32, for every implementation and shape.

    Args:
        settings: The settings; the classes are not read.
    """
    config = settings.config
    numbers = (config.num_context_tokens, config.merges_per_round)
    with compiled_for_any_shape(settings), torch.no_grad():
        for shape in shapes(settings):
            size = (shape["batch_size"], shape["num_frames"] * config.num_seeds, config.vision_config.hidden_size)
            seeds = torch.randn(size, device=settings.device)
            for name in settings.kernels:
                run = partial(_implementation(name), seeds, *numbers)
                yield time_operation("matching", run, settings, {"kernels": name, **shape}, _count(seeds, *numbers))


def count_rows(settings: Settings) -> int:
    """Return how many rows `benchmark_matching` yields."""
    return len(list(shapes(settings))) * len(settings.kernels)


def _implementation(name: str) -> Callable[[Tensor, int, int], Tensor]:
    if name == TRITON:
        return import_module("tc_clip_pl.kernels.matching").match_tokens
    return torch.compile(match_tokens, dynamic=False) if name == COMPILED else {PLAIN: match_tokens}[name]


def _count(seeds: Tensor, num_context_tokens: int, merges_per_round: int) -> int:
    """Count the multiply-adds of the similarities, every token of A with every token of B."""
    batch, left, width = seeds.shape
    total = 0
    for merges in merge_schedule(left, num_context_tokens, merges_per_round):
        total += -(-left // 2) * (left // 2) * width
        left -= merges
    return batch * total
