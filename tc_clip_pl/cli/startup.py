"""Says what a command is doing while it imports: seconds in which nothing else could be printed."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

RANK_VARIABLES = ("RANK", "SLURM_PROCID", "LOCAL_RANK")  # of torchrun, of SLURM, of Lightning's own launcher


def process_rank() -> int:
    """Return the rank of this process as its launcher tells it; 0 for a single process."""
    return int(next((os.environ[name] for name in RANK_VARIABLES if name in os.environ), "0"))


@contextmanager
def announced(message: str) -> Iterator[None]:
    """Print a message on stderr while the block runs, only on the first process.

    A terminal shows it for that long only; a file, or a terminal that cannot erase, keeps it as a line.
    """
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
