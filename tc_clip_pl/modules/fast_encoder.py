"""The vision encoder compiled, layer by layer or as a whole, and in training replayed as CUDA graphs."""

import copy
from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor

from tc_clip_pl.modules.backbone.interface import call_layer
from tc_clip_pl.modules.outputs import VideoEncoding
from tc_clip_pl.modules.training_graph import TrainingGraphs
from tc_clip_pl.modules.vision_encoder import TCVisionModel


class FastEncoder:
    """Calls a vision encoder, which keeps its weights and its own `forward`.

    Args:
        vision_model: The encoder.
        every_size: Whether batches of every size are compiled. Shapes are static, which makes the fastest code, and a
            batch smaller than the largest one before, such as the last of an epoch, would be compiled for a single use:
            by default it runs uncompiled.
        weights_move: Whether training finds its weights elsewhere in every step; its CUDA graphs then read a copy.
        as_whole: Whether all layers are compiled together, not one by one. A CPU, which has no graphs to replay, saves
            time between them; many layers take twice as long to compile.
        backend: Of `torch.compile`.
    """

    def __init__(
        self,
        vision_model: TCVisionModel,
        every_size: bool = False,
        weights_move: bool = False,
        as_whole: bool = False,
        backend: str = "inductor",
    ) -> None:
        self.vision_model, self.every_size = vision_model, every_size
        self._as_whole, self._backend = as_whole, backend
        # One by one, the layers between the first and the last share their code.
        self._compiled = torch.compile(vision_model if as_whole else call_layer, dynamic=False, backend=backend)
        self._training = TrainingGraphs(weights_move)
        self._largest: dict[Hashable, int] = {}

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
        num_videos = video.shape[0]
        if not self.every_size and num_videos < self._largest.setdefault(mode, num_videos):
            return self.vision_model(video)
        self._largest[mode] = num_videos
        if self.vision_model.training and torch.is_grad_enabled() and not self._recomputes_activations():
            return self._training(self._run, [video], list(self.vision_model.parameters()))
        return self._run(video)

    def __deepcopy__(self, memo: dict[int, Any]) -> "FastEncoder":
        """Return one for the copy of the vision model: neither compiled code nor graphs can be copied."""
        vision_model = copy.deepcopy(self.vision_model, memo)
        return FastEncoder(vision_model, self.every_size, self._training.weights_move, self._as_whole, self._backend)

    def _recomputes_activations(self) -> bool:
        return any(layer.gradient_checkpointing for layer in self.vision_model.encoder.layers)

    def _run(self, video: Tensor) -> VideoEncoding:
        return self._compiled(video) if self._as_whole else self.vision_model(video, run_layer=self._compiled)
