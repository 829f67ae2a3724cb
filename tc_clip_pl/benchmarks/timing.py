"""Times a call on a CPU or a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

Call = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds of a call, over its repeats.

    Attributes:
        median: The median.
        low: The first quartile.
        high: The third quartile.
        p95: The 95th percentile.
        first: The first call of all, which compiles and fills caches.
        memory_gib: Peak memory on a GPU, first call included: replays of CUDA graphs allocate nothing. None on a CPU.
    """

    median: float
    low: float
    high: float
    p95: float
    first: float
    memory_gib: float | None


def time_call(run: Call, device: torch.device, repeats: int, warm_up: int = 3, by_host: bool = False) -> Timing:
    """Time a call after a warm-up; the arguments are those of `time_calls`."""
    return time_calls([run], device, repeats, warm_up, by_host)[0]


def time_calls(
    runs: Sequence[Call], device: torch.device, repeats: int, warm_up: int = 3, by_host: bool = False
) -> list[Timing]:
    """Time calls in turns, so that what else the machine does meanwhile slows all of them alike.

    Args:
        runs: The calls.
        device: The device that they run on.
        repeats: Timed rounds.
        warm_up: Rounds before them, at least 1.
        by_host: Wait for each call, and read the host's clock: the time until the answer is there. Otherwise a GPU
            stamps the calls, which the host submits without waiting: the time per call of a busy GPU.
    """
    is_cuda = device.type == "cuda"
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    firsts = [_clocked(run, device) for run in runs]
    for _ in range(warm_up - 1):
        for run in runs:
            run()
    synchronize(device)
    stamped = _stamped if is_cuda and not by_host else _clocked
    rounds = [[stamped(run, device) for run in runs] for _ in range(repeats)]
    synchronize(device)
    memory = torch.cuda.max_memory_allocated(device) / 2**30 if is_cuda else None
    seconds = [[each() if callable(each) else each for each in column] for column in zip(*rounds, strict=True)]
    return [summarize(own, first, memory) for own, first in zip(seconds, firsts, strict=True)]


def summarize(seconds: Sequence[float], first: float, memory_gib: float | None) -> Timing:
    """Summarize timed calls.

    Args:
        seconds: Of each call.
        first: Of the first call of all.
        memory_gib: Peak memory.
    """
    low, median, high, p95 = np.percentile(seconds, [25, 50, 75, 95]).tolist()
    return Timing(median, low, high, p95, first, memory_gib)


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has done what it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _clocked(run: Call, device: torch.device) -> float:
    """Return the seconds until a call is done."""
    start = time.perf_counter()
    run()
    synchronize(device)
    return time.perf_counter() - start


def _stamped(run: Call, device: torch.device) -> Callable[[], float]:
    """Call between two stamps of the GPU; return what tells the seconds between them once both are reached."""
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    before.record()
    run()
    after.record()
    return lambda: before.elapsed_time(after) / 1000
