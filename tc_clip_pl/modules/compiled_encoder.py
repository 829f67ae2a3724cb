"""The vision encoder compiled for one batch size, and as a CUDA graph for small batches."""

from collections.abc import Hashable
from typing import NamedTuple

import torch
from torch import Tensor

from tc_clip_pl.modules.backbone.interface import call_layer
from tc_clip_pl.modules.outputs import VideoEncoding
from tc_clip_pl.modules.vision_encoder import TCVisionModel

MOST_REPLAYED_FRAMES = 128  # of a batch: beyond, a GPU is busy for longer than its kernels take to launch


class Graph(NamedTuple):
    """A captured forward pass: write to `video`, replay, read `encoding`."""

    video: Tensor
    graph: torch.cuda.CUDAGraph
    encoding: VideoEncoding


class CompiledEncoder:
    """Calls a vision encoder, compiled once for training and once for evaluation.

    Shapes are static, which makes the fastest code. A batch that is smaller than the largest one before, such as the
    last one of an epoch, would be compiled anew for a single use: it runs uncompiled.

    Args:
        vision_model: The encoder.
        replays: Whether small batches are replayed as CUDA graphs, for which its weights must stay as they are.
    """

    def __init__(self, vision_model: TCVisionModel, replays: bool) -> None:
        self.vision_model, self.replays = vision_model, replays
        # Evaluation is compiled layer by layer: the layers between the first and the last share their code, so that it
        # takes seconds. In training that would cost each layer milliseconds of bookkeeping for its backward pass.
        self._run_layer = torch.compile(call_layer, dynamic=False)
        self._run_all = torch.compile(vision_model, dynamic=False)
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
        if self.replays and not torch.is_grad_enabled() and len(video) * video.shape[1] <= MOST_REPLAYED_FRAMES:
            return self._replay(video, (*mode, len(video)))
        if len(video) < self._largest.setdefault(mode, len(video)):
            return self.vision_model(video)
        self._largest[mode] = len(video)
        return self._compiled(video)

    def _compiled(self, video: Tensor) -> VideoEncoding:
        if torch.is_grad_enabled():
            return self._run_all(video)
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
        # A cast that autocast cached before the capture would be gone when the graph is replayed.
        device_type, dtype = video.device.type, torch.get_autocast_dtype(video.device.type)
        is_enabled = torch.is_autocast_enabled(device_type)
        with torch.autocast(device_type, dtype, enabled=is_enabled, cache_enabled=False):
            stream = torch.cuda.Stream(video.device)
            stream.wait_stream(current)
            with torch.cuda.stream(stream):  # warm up: compile, choose algorithms, allocate workspaces
                for _ in range(2):
                    self._compiled(static)
            current.wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            # Other threads may allocate on other devices meanwhile.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                encoding = self._compiled(static)
        return Graph(static, graph, encoding)
