"""Batches through one or several devices, while the next ones are decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tc_clip_pl.inference.replica import Replica

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 2
"""Batches per device that are computed or wait for it."""


def map_batches(
    function: Callable[[Replica, Item], Result], replicas: Sequence[Replica], batches: Iterable[Item]
) -> Iterator[Result]:
    """Compute batches in threads, one per replica; the results come in order."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(len(replicas)) as pool:
        for number, batch in enumerate(batches):
            waiting.append(pool.submit(function, replicas[number % len(replicas)], batch))
            if len(waiting) >= AHEAD * len(replicas):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Cut items into lists of a size; the last one may be shorter."""
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
