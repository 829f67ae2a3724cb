"""The loop over implementations of one operation that the benchmarks of attention and matching share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec

import torch

from tc_clip_pl.benchmarks.candidates import COMPILED, PLAIN
from tc_clip_pl.benchmarks.rows import Row, Setting, measure
from tc_clip_pl.benchmarks.settings import Settings
from tc_clip_pl.benchmarks.timing import time_call

TRITON = "triton"


def available_kernels(device: torch.device) -> tuple[str, ...]:
    """Return the implementations that a device can run at speed; Triton only interprets its kernels on a CPU."""
    if device.type == "cpu":
        return (PLAIN,)
    return (PLAIN, COMPILED, *((TRITON,) if find_spec("triton") else ()))


def time_operation(
    name: str,
    run: Callable[[], object],
    settings: Settings,
    labels: Mapping[str, Setting],
    multiply_adds: int,
    baseline: bool = False,
) -> Row:
    """Time an operation.

    Args:
        name: Its name.
        run: Runs it once.
        settings: Device and repeats.
        labels: The settings of the row; those of the shape are what it is compared by.
        multiply_adds: Of one run.
        baseline: Whether it is what others are compared with.
    """
    timing, note = measure(lambda: time_call(run, settings.device, settings.repeats, settings.warm_up))
    shape = {key: value for key, value in labels.items() if key != "kernels"}
    return Row(name, labels, timing, int(labels["batch_size"]), multiply_adds, note, shape, baseline)


def shapes(settings: Settings) -> Iterator[dict[str, Setting]]:
    """Yield the batch sizes and frames of the rows."""
    for num_frames in settings.num_frames:
        for batch_size in settings.batch_sizes:
            yield {"batch_size": batch_size, "num_frames": num_frames}
