"""The loop over models and settings that inference, training and latency share."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import product

import torch
from torch import Tensor, nn

from tc_clip_pl.benchmarks.candidates import PLAIN, Candidate, baseline_means, build_candidates
from tc_clip_pl.benchmarks.rows import Row, measure
from tc_clip_pl.benchmarks.settings import Settings
from tc_clip_pl.benchmarks.timing import Timing

# (model, batch size, frames, classes) -> timing
TimeModel = Callable[[nn.Module, int, int, int], Timing]
# (model, (B, T, 3, H, W) video), both on the meta device -> multiply-adds
CountWork = Callable[[nn.Module, Tensor], int]
MAX_SHAPES = 256  # beyond 8 shapes of one function, torch would run the rest uncompiled and say so only in a log


def compare_models(settings: Settings, time_model: TimeModel, count_work: CountWork, training: bool) -> Iterator[Row]:
    """Measure every model with every setting, one model in memory at a time.

    Args:
        settings: The settings.
        time_model: Times one model.
        count_work: Counts what it executes.
        training: Whether the models are in training mode.
    """
    with compiled_for_any_shape(settings):
        for candidate in build_candidates(settings.config, settings.kernels, settings.device):
            yield from _measure_candidate(candidate, settings, time_model, count_work, training)
            gc.collect()  # a module and what it was compiled to refer to each other
            if settings.device.type == "cuda":
                torch.cuda.empty_cache()


def count_rows(settings: Settings) -> int:
    """Return how many rows `compare_models` yields."""
    candidates = build_candidates(settings.config, settings.kernels, settings.device)
    return sum(len(list(_shapes(each, settings))) for each in candidates)


def compiled_for_any_shape(settings: Settings) -> AbstractContextManager:
    """Return a context in which each shape of a run is compiled anew, however many there are."""
    if settings.device.type == "cpu" and set(settings.kernels) <= {"auto", PLAIN}:
        return nullcontext()  # importing the compiler takes seconds
    import torch._dynamo

    return torch._dynamo.config.patch(recompile_limit=MAX_SHAPES, accumulated_recompile_limit=MAX_SHAPES)


def _measure_candidate(
    candidate: Candidate, settings: Settings, time_model: TimeModel, count_work: CountWork, training: bool
) -> Iterator[Row]:
    model = candidate.build(settings.device).train(training)
    # The plain model is what is counted: other kernels do the same work, and torch cannot look into all of them.
    counted = Candidate(candidate.name, PLAIN, candidate.config, candidate.is_baseline).build(torch.device("meta"))
    counted.train(training)
    means = candidate.kernels if candidate.is_baseline else baseline_means(candidate.kernels, settings.device)
    for num_frames, num_classes, batch_size in _shapes(candidate, settings):
        for scorer in (model, counted):
            scorer.set_num_classes(num_classes)
        timing, note = measure(lambda b=batch_size, t=num_frames, y=num_classes: time_model(model, b, t, y))
        shape = {"batch_size": batch_size, "num_frames": num_frames}
        yield Row(
            candidate.name,
            {"kernels": candidate.kernels, **shape, **({} if candidate.is_baseline else {"num_classes": num_classes})},
            timing,
            batch_size,
            count_work(counted, settings.random_video(batch_size, num_frames, "meta")),
            note,
            {"means": means, **shape},
            candidate.is_baseline,
        )


def _shapes(candidate: Candidate, settings: Settings) -> Iterator[tuple[int, int, int]]:
    """Yield frames, classes and batch size of each row; the baseline has no texts to read, so one number of classes."""
    classes = settings.num_classes[:1] if candidate.is_baseline else settings.num_classes
    return product(settings.num_frames, classes, settings.batch_sizes)
