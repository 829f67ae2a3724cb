"""Steps of a model in evaluation as CUDA graphs: one launch instead of hundreds, which for a small batch take longer.

The vision encoder is one graph; what the scores need besides, which reads the encoded classes, another.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tc_clip_pl.modules.graph_capture import capture, uncached_autocast, warm_up
from tc_clip_pl.modules.outputs import tensors_of, with_tensors

MOST_FRAMES = 128  # of a batch: beyond, a GPU is busy for longer than its kernels take to launch
MOST_GRAPHS = 64  # two steps with each of the weights of an ensembling curve, and a last batch


@dataclass
class _Captured:
    """A captured step: write to the tensors of `given`, replay, read `result`; no graph after the first call."""

    weights: Tensor
    others: tuple[Any, ...]
    given: Any = None
    graph: torch.cuda.CUDAGraph | None = None
    result: Any = None


class Replays:
    """Calls functions of tensors, and replays them from their second call on.

    The weights may change, but must stay where they are; several sets of them have graphs of their own.
    """

    def __init__(self) -> None:
        self._captured: dict[Hashable, _Captured] = {}

    @staticmethod
    def fits(video: Tensor) -> bool:
        """Whether a batch, (B, T, 3, H, W), is small enough to gain by replays, and nobody wants gradients."""
        return not torch.is_grad_enabled() and video.shape[0] * video.shape[1] <= MOST_FRAMES

    def __call__(self, function: Callable[..., Any], weights: Tensor, given: Any, *others: Any) -> Any:
        """Call the function, or replay it.

        Args:
            function: A method of the model; it never waits for the GPU.
            weights: One of the tensors that the model runs with, which stands for them all.
            given: A tensor, or a tuple or dataclass of tensors, on a GPU.
            others: What else it reads. Other objects than those of the last call have the function called as it is.

        Returns:
            What the function returns, made of tensors like `given`; the next call leaves it alone.
        """
        mode = torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
        shapes = ((tensor.shape, tensor.dtype) for tensor in tensors_of(given))
        key = (function.__name__, id(weights), *mode, *shapes)
        captured = self._captured.get(key)
        if captured is None or any(new is not old for new, old in zip(others, captured.others, strict=True)):
            self._captured.pop(key, None)  # the graph of the others
            self._captured[key] = _Captured(weights, others)  # held, so that no other tensor gets the id of these
            if len(self._captured) > MOST_GRAPHS:
                del self._captured[next(iter(self._captured))]
            return function(given, *others)
        if captured.graph is None:
            _capture(captured, function, given, self._pool())
        for static, tensor in zip(tensors_of(captured.given), tensors_of(given), strict=True):
            static.copy_(tensor)
        captured.graph.replay()
        return _clone(captured.result)

    def _pool(self) -> Any:
        """Return the memory that graphs share, as they run one by one and their results are copied; None if none is."""
        return next((each.graph.pool() for each in self._captured.values() if each.graph is not None), None)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Replays":
        """Return one without graphs, which read the weights of the model that they were captured of."""
        return Replays()


def _clone(value: Any) -> Any:
    return with_tensors(value, iter([tensor.clone() for tensor in tensors_of(value)]))


def _capture(captured: _Captured, function: Callable[..., Any], given: Any, pool: Any) -> None:
    captured.given, graph = _clone(given), torch.cuda.CUDAGraph()
    step = partial(function, captured.given, *captured.others)
    with uncached_autocast():
        warm_up(step)
        captured.result = capture(graph, step, pool)
    captured.graph = graph
