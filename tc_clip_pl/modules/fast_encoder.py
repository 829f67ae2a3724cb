"""The vision encoder compiled layer by layer, and replayed as CUDA graphs."""

import copy
from collections.abc import Hashable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tc_clip_pl.modules.backbone.interface import call_layer
from tc_clip_pl.modules.outputs import VideoEncoding
from tc_clip_pl.modules.training_graph import TrainingGraphs
from tc_clip_pl.modules.vision_encoder import TCVisionModel

MOST_REPLAYED_FRAMES = 128  # of a batch: beyond, a GPU is busy for longer than its kernels take to launch


class Graph(NamedTuple):
    """A captured forward pass: write to `video`, replay, read `encoding`."""

    video: Tensor
    graph: torch.cuda.CUDAGraph
    encoding: VideoEncoding


class FastEncoder:
    """Calls a vision encoder, which keeps its weights and its own `forward`.

    Args:
        vision_model: The encoder.
        compiles: Whether it is compiled, and in training on a GPU replayed as a CUDA graph. Shapes are static, which
            makes the fastest code. A batch smaller than the largest one before, such as the last of an epoch, would be
            compiled for a single use: it runs uncompiled.
        replays: Whether small batches are replayed as CUDA graphs, for which the weights must stay as they are.
        backend: Of `torch.compile`.
    """

    def __init__(
        self, vision_model: TCVisionModel, compiles: bool, replays: bool = False, backend: str = "inductor"
    ) -> None:
        self.vision_model, self.compiles, self.replays = vision_model, compiles, replays
        self._backend = backend
        self._run_layer = call_layer
        if compiles:  # layer by layer, as the layers between the first and the last share their code
            self._run_layer = torch.compile(call_layer, dynamic=False, backend=backend)
        self._training = TrainingGraphs()
        self._largest: dict[Hashable, int] = {}
        self._graphs: dict[Hashable, Graph] = {}

    def __call__(self, video: Tensor) -> VideoEncoding:
        """Encode (B, T, 3, H, W) normalized pixels."""
        mode = (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.is_autocast_enabled(video.device.type),
            torch.get_autocast_dtype(video.device.type),
            self.vision_model.training,
            video.shape[1:],
        )
        num_videos, num_frames = video.shape[:2]
        if self.replays and not torch.is_grad_enabled() and num_videos * num_frames <= MOST_REPLAYED_FRAMES:
            return self._replay(video, (*mode, num_videos))
        if not self.compiles or num_videos < self._largest.setdefault(mode, num_videos):
            return self.vision_model(video)
        self._largest[mode] = num_videos
        if self.vision_model.training and torch.is_grad_enabled() and not self._recomputes_activations():
            return self._training(self._run_layers, [video], list(self.vision_model.parameters()))
        return self._run_layers(video)

    def __deepcopy__(self, memo: dict[int, Any]) -> "FastEncoder":
        """Return one for the copy of the vision model: neither compiled code nor graphs can be copied."""
        return FastEncoder(copy.deepcopy(self.vision_model, memo), self.compiles, self.replays, self._backend)

    def _recomputes_activations(self) -> bool:
        return any(layer.gradient_checkpointing for layer in self.vision_model.encoder.layers)

    def _run_layers(self, video: Tensor) -> VideoEncoding:
        return self.vision_model(video, run_layer=self._run_layer)

    def _replay(self, video: Tensor, key: Hashable) -> VideoEncoding:
        if key not in self._graphs:
            self._graphs[key] = self._capture(video)
        captured = self._graphs[key]
        captured.video.copy_(video)
        captured.graph.replay()
        return captured.encoding  # valid until the next call: the model projects it at once

    def _capture(self, video: Tensor) -> Graph:
        static, current = video.clone(), torch.cuda.current_stream(video.device)
        device_type, dtype = video.device.type, torch.get_autocast_dtype(video.device.type)
        is_enabled = torch.is_autocast_enabled(device_type)
        # A cast that autocast cached before the capture would be gone when the graph is replayed.
        with torch.autocast(device_type, dtype, enabled=is_enabled, cache_enabled=False):
            stream = torch.cuda.Stream(video.device)
            stream.wait_stream(current)
            with torch.cuda.stream(stream):  # compile, choose algorithms, allocate workspaces
                for _ in range(2):
                    self._run_layers(static)
            current.wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            # Other threads may allocate on other devices meanwhile.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                encoding = self._run_layers(static)
        return Graph(static, graph, encoding)
