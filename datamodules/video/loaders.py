"""How loaders are built: their workers, and who may wait how long."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from datamodules.video.batch import Clip, VideoBatch
from datamodules.video.dataset import VideoDataset

MAX_DEFAULT_WORKERS = 8


def build_loader(
    dataset: VideoDataset,
    sampler: Sampler[Any],
    collate: Callable[[list[Clip]], VideoBatch],
    batch_size: int,
    num_workers: int,
    worker_timeout: int,
) -> DataLoader[VideoBatch]:
    """Builds a loader of one process.

    Args:
        dataset: What is read.
        sampler: In which order.
        collate: Makes a batch of clips.
        batch_size: Videos in a batch.
        num_workers: Processes that decode.
        worker_timeout: Seconds that a batch may take; 0 for ever.
    """
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        collate_fn=collate,
        num_workers=num_workers,
        timeout=worker_timeout if num_workers else 0,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        generator=torch.Generator(),  # its own, so that making a loader leaves the global draws alone
    )


def default_workers(num_processes: int) -> int:
    """Shares the cores of this machine out among the processes on it, at most 8 each."""
    return min(MAX_DEFAULT_WORKERS, (os.cpu_count() or 1) // num_processes)
