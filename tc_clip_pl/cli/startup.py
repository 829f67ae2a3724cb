"""Says what a command is doing while it imports: seconds in which nothing else could be printed."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

RANK_VARIABLES = ("RANK", "SLURM_PROCID", "LOCAL_RANK")  # of torchrun, of SLURM, of Lightning's own launcher


def process_rank() -> int:
    """Return the rank of this process as its launcher tells it; 0 for a single process."""
    return int(next((os.environ[name] for name in RANK_VARIABLES if name in os.environ), "0"))


@contextmanager
def announced(message: str) -> Iterator[None]:
    """Print a message on stderr while the block runs, only on the first process.

    A terminal shows it for that long only; a file, or a terminal that cannot erase, keeps it as a line. Ctrl-C ends the
    process at once.
    """
    with _ended_by_interrupt():
        yield from _announce(message)


@contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    """End the process at Ctrl-C: raised inside the import of a C extension, it may come out as any other error."""
    if threading.current_thread() is not threading.main_thread():  # elsewhere, Python does not let us handle signals
        yield
        return
    before = signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(*_: object) -> None:
    print("\nInterrupted.", file=sys.stderr, flush=True)
    os._exit(130)


def _announce(message: str) -> Iterator[None]:
    if process_rank():
        yield
        return
    can_erase = sys.stderr.isatty() and os.environ.get("TERM") not in (None, "dumb", "unknown")
    print(message, end="" if can_erase else "\n", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if can_erase:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
