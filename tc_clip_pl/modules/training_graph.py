"""A forward pass and its backward pass, each replayed as one CUDA graph: a GPU then never waits for Python."""

import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tc_clip_pl.modules.graph_capture import capture, uncached_autocast, warm_up
from tc_clip_pl.modules.outputs import tensors_of, with_tensors


class TrainingGraphs:
    """Calls a function in training: captures a `TrainingGraph` for each shape of its inputs, and replays it.

    Where a replay would be wrong, the function runs as it is: on a CPU, for other parameters than those of the capture,
    and for a second forward pass before the backward pass of the first.

    Args:
        weights_move: Whether the parameters lie elsewhere in every call. Each graph then has a copy of them, brought up
            to date in every call.
    """

    def __init__(self, weights_move: bool = False) -> None:
        self.weights_move = weights_move
        self._graphs: dict[Hashable, TrainingGraph] = {}

    def __call__(self, function: Callable[..., Any], inputs: Sequence[Tensor], parameters: Sequence[Tensor]) -> Any:
        """Call the function, or replay it.

        Args:
            function: The same in every call.
            inputs: Tensors.
            parameters: What the function reads besides.
        """
        learns = any(parameter.requires_grad for parameter in parameters)
        if not inputs[0].is_cuda or not learns or any(tensor.requires_grad for tensor in inputs):
            return function(*inputs)
        dtype, enabled = torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda")
        key = (dtype, enabled, *((tensor.shape, tensor.dtype) for tensor in inputs))
        if key not in self._graphs:
            self._graphs[key] = TrainingGraph(function, inputs, parameters, self.weights_move)
        graph = self._graphs[key]
        return graph(inputs, parameters) if graph.can_replay(parameters) else function(*inputs)


class TrainingGraph:
    """The captured passes of one function, for tensors of one shape.

    Args:
        function: From tensors to a tensor, or a tuple or dataclass of them; it never waits for the GPU.
        inputs: What to call it with, on a GPU; no gradient flows into them.
        parameters: What it reads; those that require a gradient get one.
        weights_move: Whether to read a copy of them.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Sequence[Tensor],
        parameters: Sequence[Tensor],
        weights_move: bool = False,
    ) -> None:
        self.copies = [parameter.detach().clone() for parameter in parameters] if weights_move else []
        self.places = self._places(parameters)
        self.inputs = [tensor.clone() for tensor in inputs]
        self.owner: weakref.ref | None = None  # the call whose activations the graph's memory holds
        self.forward, self.backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with _reading(self.copies, parameters):
            with uncached_autocast():
                warm_up(lambda: self._run_both(function, parameters))
                self.result = capture(self.forward, lambda: function(*self.inputs))
            self.outputs = list(tensors_of(self.result))
            self.output_gradients = [torch.zeros_like(output) for output in self.outputs if output.requires_grad]
            self.gradients = capture(
                self.backward, lambda: self._differentiate(self.outputs, parameters), self.forward.pool()
            )

    def __call__(self, inputs: Sequence[Tensor], parameters: Sequence[Tensor]) -> Any:
        """Replay the forward pass; the backward pass follows through autograd."""
        results = _Replay.apply(self, len(inputs), *inputs, *parameters)
        return with_tensors(self.result, iter(results))

    def can_replay(self, parameters: Sequence[Tensor]) -> bool:
        """Whether the graph can read the parameters, and no earlier call still waits for its backward pass."""
        return self.places == self._places(parameters) and (self.owner is None or self.owner() is None)

    def _places(self, parameters: Sequence[Tensor]) -> tuple[tuple[int | None, bool], ...]:
        return tuple((None if self.copies else p.data_ptr(), p.requires_grad) for p in parameters)

    def _run_both(self, function: Callable[..., Any], parameters: Sequence[Tensor]) -> None:
        outputs = list(tensors_of(function(*self.inputs)))
        self.output_gradients = [torch.zeros_like(output) for output in outputs if output.requires_grad]
        self._differentiate(outputs, parameters)

    def _differentiate(self, outputs: Sequence[Tensor], parameters: Sequence[Tensor]) -> list[Tensor | None]:
        trainable = [parameter for parameter in parameters if parameter.requires_grad]
        differentiable = [output for output in outputs if output.requires_grad]
        found = iter(torch.autograd.grad(differentiable, trainable, self.output_gradients, allow_unused=True))
        return [next(found) if parameter.requires_grad else None for parameter in parameters]


class _Replay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graph: TrainingGraph, num_inputs: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        for static, tensor in zip(graph.inputs, tensors, strict=False):
            static.copy_(tensor)
        if graph.copies:
            torch._foreach_copy_(graph.copies, tensors[num_inputs:])
        graph.forward.replay()
        graph.owner = weakref.ref(ctx)
        ctx.graph, ctx.num_inputs = graph, num_inputs
        results = tuple(output.detach().clone() for output in graph.outputs)  # the next call overwrites the graph's own
        constant = [new for new, old in zip(results, graph.outputs, strict=True) if not old.requires_grad]
        ctx.mark_non_differentiable(*constant)
        return results

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        graph = ctx.graph
        if graph.owner is None or graph.owner() is not ctx:
            raise RuntimeError(
                "The activations of this forward pass are gone: set model.kernels to triton to run its backward pass "
                "twice."
            )
        wanted = [new for new, output in zip(gradients, graph.outputs, strict=True) if output.requires_grad]
        for static, gradient in zip(graph.output_gradients, wanted, strict=True):
            static.copy_(gradient)
        graph.backward.replay()
        graph.owner = None
        # Autograd copies them into `grad`, since the graph holds them too: the next replay overwrites them.
        return None, None, *(None for _ in range(ctx.num_inputs)), *graph.gradients


@contextmanager
def _reading(copies: Sequence[Tensor], parameters: Sequence[Tensor]) -> Iterator[None]:
    """Let everything that reads these parameters read the copies, if there are any."""
    own = [parameter.data for parameter in parameters]
    try:
        for parameter, copy in zip(parameters, copies or own, strict=True):
            parameter.data = copy
        yield
    finally:
        for parameter, data in zip(parameters, own, strict=True):
            parameter.data = data
