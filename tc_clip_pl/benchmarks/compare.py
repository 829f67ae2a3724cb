"""The loop over models and settings that inference, training and latency share."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import product

import torch
from torch import Tensor, nn

from tc_clip_pl.benchmarks.candidates import PLAIN, Candidate, baseline_means, build_candidates
from tc_clip_pl.benchmarks.rows import Row, measure
from tc_clip_pl.benchmarks.settings import Settings
from tc_clip_pl.benchmarks.timing import Call, Timing, time_calls

# (model, batch size, frames, classes) -> the call to time
Prepare = Callable[[nn.Module, int, int, int], Call]
# (model, (B, T, 3, H, W) video), both on the meta device -> multiply-adds
CountWork = Callable[[nn.Module, Tensor], int]
MAX_SHAPES = 256  # beyond 8 shapes of one function, torch would run the rest uncompiled and say so only in a log


def compare_models(
    settings: Settings, prepare: Prepare, count_work: CountWork, training: bool, by_host: bool = False
) -> Iterator[Row]:
    """Measure every model with every setting.

    On a GPU one model after the other, alone in its memory. On a CPU in turns, call by call: what else it does would
    otherwise slow one of them only.

    Args:
        settings: The settings.
        prepare: Returns what is to be timed.
        count_work: Counts what it executes.
        training: Whether the models are in training mode.
        by_host: As in `time_calls`.
    """
    found = build_candidates(settings.config, settings.kernels, settings.device)
    candidates = [replace(each, recomputes=settings.recomputes) for each in found]
    groups = [candidates] if settings.device.type == "cpu" else [[each] for each in candidates]
    with compiled_for_any_shape(settings):
        for group in groups:
            yield from _measure_group(group, settings, prepare, count_work, training, by_host)
            gc.collect()  # a module and what it was compiled to refer to each other
            if settings.device.type == "cuda":
                torch.cuda.empty_cache()


def count_rows(settings: Settings) -> int:
    """Return how many rows `compare_models` yields."""
    candidates = build_candidates(settings.config, settings.kernels, settings.device)
    shapes = len(settings.num_frames) * len(settings.batch_sizes)
    return sum(shapes * (1 if each.is_baseline else len(settings.num_classes)) for each in candidates)


def compiled_for_any_shape(settings: Settings) -> AbstractContextManager:
    """Return a context in which each shape of a run is compiled anew, however many there are."""
    if settings.device.type == "cpu" and set(settings.kernels) <= {"auto", PLAIN}:
        return nullcontext()  # importing the compiler takes seconds
    import torch._dynamo

    return torch._dynamo.config.patch(recompile_limit=MAX_SHAPES, accumulated_recompile_limit=MAX_SHAPES)


def _measure_group(
    group: list[Candidate],
    settings: Settings,
    prepare: Prepare,
    count_work: CountWork,
    training: bool,
    by_host: bool,
) -> Iterator[Row]:
    models = [each.build(settings.device).train(training) for each in group]
    # Plain models are what is counted: other kernels do the same work, and torch cannot look into all of them. What is
    # done twice counts once.
    counted = [
        replace(each, kernels=PLAIN, recomputes=False).build(torch.device("meta")).train(training) for each in group
    ]
    for num_frames, num_classes, batch_size in product(settings.num_frames, settings.num_classes, settings.batch_sizes):
        # The baseline has no texts to read, so one number of classes.
        measured = [n for n, each in enumerate(group) if not each.is_baseline or num_classes == settings.num_classes[0]]
        for scorer in (*models, *counted):
            scorer.set_num_classes(num_classes)
        prepared = [partial(prepare, models[n], batch_size, num_frames, num_classes) for n in measured]
        timings, note = measure(partial(_time_prepared, prepared, settings, by_host))
        video = settings.random_video(batch_size, num_frames, "meta")
        for n, timing in zip(measured, timings or [None] * len(measured), strict=True):
            yield _build_row(group[n], settings.device, video, num_classes, timing, count_work(counted[n], video), note)


def _time_prepared(prepared: Sequence[Callable[[], Call]], settings: Settings, by_host: bool) -> list[Timing]:
    runs = [prepare() for prepare in prepared]  # not before: their tensors are part of what may not fit
    return time_calls(runs, settings.device, settings.repeats, settings.warm_up, by_host)


def _build_row(
    candidate: Candidate,
    device: torch.device,
    video: Tensor,
    num_classes: int,
    timing: Timing | None,
    work: int,
    note: str,
) -> Row:
    shape = {"batch_size": video.shape[0], "num_frames": video.shape[1]}
    classes = {} if candidate.is_baseline else {"num_classes": num_classes}
    means = candidate.kernels if candidate.is_baseline else baseline_means(candidate.kernels, device)
    return Row(
        name=candidate.name,
        settings={"kernels": candidate.kernels, **shape, **classes},
        timing=timing,
        items=video.shape[0],
        multiply_adds=work,
        note=note,
        compared_by={"means": means, **shape},
        is_baseline=candidate.is_baseline,
    )
