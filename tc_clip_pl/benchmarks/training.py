"""`tcclip benchmark train`: forward pass, backward pass and optimizer step."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from tc_clip_pl.benchmarks.compare import compare_models
from tc_clip_pl.benchmarks.rows import Row
from tc_clip_pl.benchmarks.settings import Settings, autocast
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
        made = optimizer([parameter for parameter in scorer.parameters() if parameter.requires_grad])
        try:
            run = partial(training_step, scorer, made, video, labels)
            return time_call(run, settings.device, settings.repeats, settings.warm_up)
        finally:
            made.zero_grad()  # also where a step has run out of memory

    return compare_models(settings, time_model, count_training, training=True)


def training_step(scorer: nn.Module, optimizer: Optimizer, video: Tensor, target: Tensor) -> None:
    """Run forward pass, backward pass and optimizer step.

    Args:
        scorer: The model.
        optimizer: Of its parameters.
        video: (B, T, 3, H, W) normalized pixels.
        target: (B,) class ids, or (B, Y) soft targets.
    """
    with autocast(video.device):
        logits = scorer.score(video)
    F.cross_entropy(logits.float(), target).backward()
    optimizer.step()
    optimizer.zero_grad()


def count_training(scorer: nn.Module, video: Tensor) -> int:
    """Count the multiply-adds of a forward and a backward pass, those of the classes included.

    Args:
        scorer: A model on the meta device, in training mode.
        video: (B, T, 3, H, W) on the meta device.
    """
    work = count_multiply_adds(lambda: scorer.score(video).sum().backward())
    scorer.zero_grad()
    return work
