"""Kernels of several videos side by side on a GPU, which those of one would leave partly idle."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

Part = TypeVar("Part")
# Streams of this priority come from a set of their own: none of them is by chance the one that the caller is on, where
# two parts would run one after the other. All parts have it: one of lower priority would end last.
PRIORITY = -1


def run_on_streams(function: Callable[[Part], None], parts: Sequence[Part], device: torch.device) -> None:
    """Call a function for each part, on a GPU on a stream of its own; what follows on the current one waits for all.

    Args:
        function: It launches kernels, and allocates no memory that outlives it.
        parts: At most 32, which do not depend on each other.
        device: Where the parts are; on a GPU, torch's current device.
    """
    if device.type != "cuda" or len(parts) == 1:
        for part in parts:
            function(part)
        return
    current = torch.cuda.current_stream(device)
    streams = [torch.cuda.Stream(device, priority=PRIORITY) for _ in parts]
    for part, stream in zip(parts, streams, strict=True):
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            function(part)
    for stream in streams:
        current.wait_stream(stream)
