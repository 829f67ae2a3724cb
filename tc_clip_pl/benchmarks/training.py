"""`tcclip benchmark train`: forward pass, backward pass and optimizer step."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tc_clip_pl.benchmarks.compare import compare_models
from tc_clip_pl.benchmarks.rows import Row
from tc_clip_pl.benchmarks.settings import Settings
from tc_clip_pl.benchmarks.timing import Timing, time_call
from tc_clip_pl.profiling import count_multiply_adds
from tc_clip_pl.training.optimizer import OptimizerFactory


def benchmark_training(settings: Settings, optimizer: OptimizerFactory) -> Iterator[Row]:
    """Time training steps on one batch.

    Args:
        settings: The settings.
        optimizer: Makes the optimizer of parameter groups.
    """

    def time_model(scorer: nn.Module, batch_size: int, num_frames: int, num_classes: int) -> Timing:
        video = settings.random_video(batch_size, num_frames)
        labels = torch.arange(batch_size, device=settings.device) % num_classes
        # Made anew for each row, so that none starts with the memory of another's moments and gradients.
        step = optimizer([parameter for parameter in scorer.parameters() if parameter.requires_grad])

        def run() -> None:
            with settings.autocast():
                loss = F.cross_entropy(scorer.score(video).float(), labels)
            loss.backward()
            step.step()
            step.zero_grad()

        try:
            return time_call(run, settings.device, settings.repeats, settings.warm_up)
        finally:
            step.zero_grad()

    return compare_models(settings, time_model, count_training, training=True)


def count_training(scorer: nn.Module, video: Tensor) -> int:
    """Count the multiply-adds of a forward and a backward pass, those of the classes included.

    Args:
        scorer: A model on the meta device, in training mode.
        video: (B, T, 3, H, W) on the meta device.
    """
    work = count_multiply_adds(lambda: scorer.score(video).sum().backward())
    scorer.zero_grad()
    return work
