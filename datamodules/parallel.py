"""Work on many files: in processes, of which a crash of a decoder ends one and Ctrl-C all, or in threads."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from threading import Thread
from typing import TypeVar

NUM_THREADS = 16
"""They wait for the disk, so there may be more of them than cores."""
TASK_SIZE = 256  # items per task: with one, handing out tasks would take longer than a look at a file

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """Return the number of CPU cores that this process may use, which a scheduler such as SLURM limits."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every platform
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def map_in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Apply a quick function, such as one that asks for the size of a file, to items in threads.

    Returns:
        The results, in the order of the items.
    """

    def work_on(start: int) -> list[Result]:
        return [work(item) for item in items[start : start + TASK_SIZE]]

    with ThreadPoolExecutor(NUM_THREADS) as pool:
        return [result for found in pool.map(work_on, range(0, len(items), TASK_SIZE)) for result in found]


def map_in_processes(
    work: Callable[[Item], Result], items: Iterable[Item], num_workers: int, crashed: Callable[[Item], Result]
) -> Iterator[tuple[Item, Result]]:
    """Apply a function to items in processes.

    Only a few items are given out at a time, so that results do not pile up where they are taken slowly.

    Args:
        work: The function; picklable. Its errors end the iteration.
        items: What to work on; picklable.
        num_workers: Number of processes.
        crashed: Makes the result for an item that ended its process.

    Yields:
        An item and its result, in order of completion. Closing the iterator ends the processes at once.
    """
    todo = deque(items)
    while todo:
        suspects = yield from _map_until_crash(work, todo, num_workers)
        for item in suspects:  # a broken pool does not say at which item it broke: each gets a pool of its own
            if (yield from _map_until_crash(work, deque([item]), 1)):
                yield item, crashed(item)


def _map_until_crash(
    work: Callable[[Item], Result], todo: deque[Item], num_workers: int
) -> Generator[tuple[Item, Result], None, list[Item]]:
    """Work on items until all are done, or a process crashes; return those that were given out then."""
    running: dict[Future[Result], Item] = {}
    pool = _start_processes(min(num_workers, len(todo)))
    try:
        while todo or running:
            while todo and len(running) < 2 * num_workers:
                running[pool.submit(work, todo[0])] = todo[0]
                todo.popleft()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                result = future.result()
                yield running.pop(future), result
    except BrokenProcessPool:
        return list(running.values())
    except BaseException:
        _kill_processes(pool)
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return []


def _start_processes(number: int) -> ProcessPoolExecutor:
    """Start a pool of processes, which leave Ctrl-C to this one, and end with it."""
    # Not forks of this process: a fork copies the locks of a library's threads, but not the threads that release them.
    # They are forks of a server without threads, which imports once what takes seconds, or, on Windows, new processes.
    has_server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if has_server else "spawn")
    if has_server:
        context.set_forkserver_preload(["datamodules.video.decoding"])
    return ProcessPoolExecutor(number, context, initializer=_follow_parent)


def _kill_processes(pool: ProcessPoolExecutor) -> None:
    """End the processes of a pool, which ignore Ctrl-C and would first finish their work."""
    # `kill_workers` of Python 3.14 does the same; before, the processes are only in this attribute.
    for process in list((pool._processes or {}).values()):
        process.kill()


def _follow_parent() -> None:
    # Ctrl-C reaches every process of the terminal. Only the parent handles it, or each child prints a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent was killed, which would leave it waiting for work forever."""
    multiprocessing.parent_process().join()
    os._exit(1)
