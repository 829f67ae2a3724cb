"""Moments in the work of a device: on a GPU by its own clock, which the host reads later, without waiting for it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Moment:
    """When the device has done all that it was given so far.

    Attributes:
        seconds: Of the host's clock.
        event: Of a GPU, which may be behind the host; None on other devices, which are not.
    """

    seconds: float
    event: torch.cuda.Event | None = None

    @property
    def has_come(self) -> bool:
        """Whether the device has got there."""
        return self.event is None or self.event.query()

    def wait(self) -> None:
        """Wait until the device has got there."""
        if self.event is not None:
            self.event.synchronize()

    def seconds_until(self, later: Moment) -> float:
        """Return the seconds to a later moment of the same device; both must have come."""
        if self.event is None or later.event is None:
            return later.seconds - self.seconds
        return self.event.elapsed_time(later.event) / 1000


def now(device: torch.device | None = None) -> Moment:
    """Return the present moment of a device; of the host if there is none."""
    event = None
    if device is not None and device.type == "cuda":
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(device))
    return Moment(time.perf_counter(), event)


def take_past(unread: deque[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Take from the front of a queue what the device has done: tuples that end with the moment when it has."""
    while unread and unread[0][-1].has_come:
        yield unread.popleft()
