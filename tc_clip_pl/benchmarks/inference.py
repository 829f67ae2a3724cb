"""`tcclip benchmark model` and `latency`: scoring videos that are already on the device, with cached classes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tc_clip_pl.benchmarks.candidates import TCScorer
from tc_clip_pl.benchmarks.compare import compare_models
from tc_clip_pl.benchmarks.rows import Row
from tc_clip_pl.benchmarks.settings import Settings, autocast
from tc_clip_pl.benchmarks.timing import Call
from tc_clip_pl.profiling import count_multiply_adds


def benchmark_inference(settings: Settings, by_host: bool = False) -> Iterator[Row]:
    """Time the scoring of a batch.

    Args:
        settings: The settings.
        by_host: Time until the host has the answer to each batch, as who waits for it sees it (latency), rather than
            the time per batch where they follow each other.
    """

    def prepare(scorer: nn.Module, batch_size: int, num_frames: int, num_classes: int) -> Call:
        video = settings.random_video(batch_size, num_frames)

        def run() -> None:
            with torch.inference_mode(), autocast(settings.device):
                scorer.score(video)

        return run

    return compare_models(settings, prepare, count_inference, training=False, by_host=by_host)


def count_inference(scorer: nn.Module, video: Tensor) -> int:
    """Count the multiply-adds of scoring a video, without those of the classes, which are cached.

    Args:
        scorer: A model on the meta device.
        video: (B, T, 3, H, W) on the meta device.
    """
    classes = count_multiply_adds(scorer.model.encode_classes) if isinstance(scorer, TCScorer) else 0
    return count_multiply_adds(lambda: scorer.score(video)) - classes
