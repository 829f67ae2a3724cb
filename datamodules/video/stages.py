"""Where the time goes while a clip is read: a clock that the reader tells what it is doing.

Without a clock, as in every run, a stage costs a microsecond.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

_clocks: list[StageClock] = []


class StageClock:
    """Adds up the seconds of each stage in this process; a stage inside another stops that one's clock.

    Attributes:
        seconds: Seconds by stage.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._names: list[str] = []
        self._since = 0.0

    @contextmanager
    def running(self) -> Iterator[StageClock]:
        """Count the stages inside the block."""
        _clocks.append(self)
        try:
            yield self
        finally:
            _clocks.remove(self)

    def begin(self, name: str) -> None:
        """Enter a stage."""
        self._add()
        self._names.append(name)

    def end(self) -> None:
        """Leave the stage that was entered last."""
        self._add()
        self._names.pop()

    def _add(self) -> None:
        now = time.perf_counter()
        if self._names:
            self.seconds[self._names[-1]] += now - self._since
        self._since = now


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Say what the block does.

    Args:
        name: `open`, `index`, `decode`, `convert` (to RGB, shrunk by the decoder), `cache` or `resize` (and crop).
    """
    clock = _clocks[-1] if _clocks else None
    if clock is None:
        yield
        return
    clock.begin(name)
    try:
        yield
    finally:
        clock.end()
