"""Builds data loaders and chooses their number of workers."""

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
    keep_workers: bool,
) -> DataLoader[VideoBatch]:
    """Build the loader of one process.

    Args:
        dataset: The clips.
        sampler: Their order; it yields the keys that `dataset` takes.
        collate: Makes a batch of clips.
        batch_size: Videos per batch.
        num_workers: Decoding processes; 0 decodes in this one.
        worker_timeout: Seconds to wait for a batch; 0 waits forever.
        keep_workers: Whether the processes wait for the next epoch; otherwise they end with the last batch.
    """
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        collate_fn=collate,
        num_workers=num_workers,
        timeout=worker_timeout if num_workers else 0,  # DataLoader refuses a timeout without workers
        # Starting them takes seconds, every epoch. A loader that is read once must not keep them: with several test
        # sets, the processes of all earlier ones would stay in memory.
        persistent_workers=keep_workers and num_workers > 0,
        pin_memory=torch.cuda.is_available(),
        # Its own generator: a loader draws a seed for its workers, which must not shift the model's random numbers.
        generator=torch.Generator(),
    )


def default_workers(num_processes: int) -> int:
    """Return an equal share of this machine's CPU cores for each of its processes, at most 8."""
    return min(MAX_DEFAULT_WORKERS, (os.cpu_count() or 1) // num_processes)
