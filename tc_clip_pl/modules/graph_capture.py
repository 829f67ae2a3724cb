"""What the capture of a CUDA graph needs, in evaluation (`replays.py`) and in training (`training_graph.py`)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch


def uncached_autocast() -> AbstractContextManager:
    """Keep autocast as it is, without its cache: a cast from before the capture would be gone in a replay."""
    dtype, enabled = torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda")
    return torch.autocast("cuda", dtype, enabled=enabled, cache_enabled=False)


def warm_up(function: Callable[[], Any]) -> None:
    """Call a function twice, which compiles, chooses algorithms and allocates workspaces: no capture may do that."""
    stream, current = torch.cuda.Stream(), torch.cuda.current_stream()
    stream.wait_stream(current)
    with torch.cuda.stream(stream):
        for _ in range(2):
            function()
    current.wait_stream(stream)


def capture(graph: torch.cuda.CUDAGraph, function: Callable[[], Any], pool: Any = None) -> Any:
    """Capture a function.

    Args:
        graph: Records its kernels.
        function: It has been warmed up, and never waits for the GPU.
        pool: Of an earlier graph, whose memory this one reads.

    Returns:
        What the function returns: every replay writes to its tensors.
    """
    # Other threads may allocate meanwhile, such as the one that pins the memory of the next batch.
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        return function()
