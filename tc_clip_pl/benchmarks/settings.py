"""What a benchmark of models runs with."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from tc_clip_pl.modules.config import TCCLIPConfig


def autocast(device: torch.device) -> AbstractContextManager:
    """Return the precision of a device: bfloat16 autocast on a GPU, float32 on a CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


@dataclass(frozen=True)
class Settings:
    """What to measure models with.

    Attributes:
        config: Configuration of the model.
        device: Where to run.
        kernels: Implementations to compare.
        batch_sizes: Videos per batch.
        num_frames: Frames per video.
        num_classes: Classes to score.
        repeats: Timed calls of each row.
        warm_up: Calls before them.
        recomputes: Whether training recomputes activations (`recompute_activations`).
    """

    config: TCCLIPConfig
    device: torch.device
    kernels: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    num_frames: tuple[int, ...]
    num_classes: tuple[int, ...]
    repeats: int
    warm_up: int = 3
    recomputes: bool = False

    def random_video(self, batch_size: int, num_frames: int, device: str | torch.device | None = None) -> Tensor:
        """Return (B, T, 3, H, W) normal noise on the device of the run, or on another."""
        size = self.config.vision_config.image_size
        return torch.randn(batch_size, num_frames, 3, size, size, device=device or self.device)
