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
from tc_clip_pl.benchmarks.timing import Call
from tc_clip_pl.profiling import count_multiply_adds
from tc_clip_pl.training.optimizer import OptimizerFactory


def benchmark_training(settings: Settings, optimizer: OptimizerFactory) -> Iterator[Row]:
    """Time training steps on one batch.

    Args:
        settings: The settings.
        optimizer: Makes the optimizer of parameter groups.
    """

    def prepare(scorer: nn.Module, batch_size: int, num_frames: int, num_classes: int) -> Call:
        video = settings.random_video(batch_size, num_frames)
        labels = torch.arange(batch_size, device=settings.device) % num_classes
        # Made anew for each row, so that none starts with the moments of another, or with the gradients of one that
        # has run out of memory.
        scorer.zero_grad()
        made = optimizer([parameter for parameter in scorer.parameters() if parameter.requires_grad])
        return partial(training_step, scorer, made, video, labels)

    return compare_models(settings, prepare, count_training, training=True)


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
