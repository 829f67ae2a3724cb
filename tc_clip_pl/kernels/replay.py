"""Replays a function of many short kernels as one CUDA graph, which launches in the time of a single kernel.

This is for one operator, in training as well. `modules/replays.py` does it for whole steps of a model in evaluation,
`modules/training_graph.py` for those of training, with their backward passes.
"""

import threading
from collections.abc import Callable, Hashable
from typing import NamedTuple

import torch
from torch import Tensor


class _Graph(NamedTuple):
    graph: torch.cuda.CUDAGraph
    argument: Tensor
    result: Tensor


class Replayed:
    """A function of a tensor and of options, replayed from its third call with equal shapes and options on.

    Args:
        function: Takes a tensor, contiguous and its own, so that it may write to it, and hashable options, returns a
            tensor, and never waits for the GPU.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function
        self._graphs: dict[Hashable, _Graph | None] = {}
        self._lock = threading.Lock()

    def __call__(self, argument: Tensor, *options: Hashable) -> Tensor:
        """Call the function, or replay it; the result is a tensor of its own."""
        device = argument.device
        # On a side stream somebody else captures, or warms up for it: those kernels belong to that graph.
        if not argument.is_cuda or torch.cuda.current_stream(device) != torch.cuda.default_stream(device):
            return self.function(_copy(argument), *options)
        key = (device, argument.shape, argument.dtype, *options)
        # Kernels are compiled in the first call, where a capture would fail; a shape that does not come again, such as
        # that of the last batch, is not worth the memory of a graph.
        if key not in self._graphs:
            self._graphs[key] = None
            return self.function(_copy(argument), *options)
        with self._lock:  # threads share the graph's tensors
            if self._graphs[key] is None:
                self._graphs[key] = self._capture(argument, *options)
            captured = self._graphs[key]
            captured.argument.copy_(argument)
            captured.graph.replay()
            return captured.result.clone()

    def _capture(self, argument: Tensor, *options: Hashable) -> _Graph:
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(False):  # a tensor of inference mode could not be written to in training
            argument = _copy(argument)
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other threads may allocate meanwhile
                result = self.function(argument, *options)
        return _Graph(graph, argument, result)


def _copy(argument: Tensor) -> Tensor:
    return argument.clone(memory_format=torch.contiguous_format)
