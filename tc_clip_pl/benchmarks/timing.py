"""Times a call on a CPU or a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch


@dataclass(frozen=True)
class Timing:
    """Seconds of a call, over its repeats.

    Attributes:
        median: The median.
        low: The first quartile.
        high: The third quartile.
        p95: The 95th percentile.
        first: The first call of all, which compiles and fills caches.
        memory_gib: Peak memory on a GPU, of the repeats alone; None on a CPU.
    """

    median: float
    low: float
    high: float
    p95: float
    first: float
    memory_gib: float | None


def time_call(
    run: Callable[[], object], device: torch.device, repeats: int, warm_up: int = 3, by_host: bool = False
) -> Timing:
    """Time a call after a warm-up.

    Args:
        run: The call.
        device: The device that it runs on.
        repeats: Timed calls.
        warm_up: Calls before them, the first included; at least 1.
        by_host: Wait for each call, and read the host's clock: the time until the answer is there. Otherwise a GPU
            stamps the calls, which the host submits without waiting: the time per call of a busy GPU.
    """
    start = time.perf_counter()
    run()
    synchronize(device)
    first = time.perf_counter() - start
    for _ in range(warm_up - 1):
        run()
    synchronize(device)
    is_cuda = device.type == "cuda"
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    seconds = _by_events(run, device, repeats) if is_cuda and not by_host else _by_clock(run, device, repeats)
    return summarize(seconds, first, torch.cuda.max_memory_allocated(device) / 2**30 if is_cuda else None)


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


def _by_clock(run: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return seconds


def _by_events(run: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    stamps = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
    stamps[0].record()
    for stamp in stamps[1:]:
        run()
        stamp.record()
    synchronize(device)
    return [before.elapsed_time(after) / 1000 for before, after in pairwise(stamps)]
