"""Finds the clips of a split, and builds datasets and data loaders of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch.utils.data import DataLoader, Sampler

from datamodules.options import ClipOptions
from datamodules.splits.lookup import Root, find_records
from datamodules.splits.split import Split, VideoRecord
from datamodules.splits.validation import check_folders
from datamodules.transforms.spatial import build_evaluation_crop, build_training_crop, short_side
from datamodules.video.batch import Clip, VideoBatch, collate_evaluation_clips, collate_training_clips
from datamodules.video.dataset import Transform, VideoDataset
from datamodules.video.file_heads import check_heads
from datamodules.video.frame_cache import FrameCache
from datamodules.video.frame_sampling import FrameSampler
from datamodules.video.frame_store import FrameStore
from datamodules.video.loaders import build_loader, default_workers
from datamodules.video.samplers import EvaluationSampler, TrainingSampler
from datamodules.video.window_sampling import WindowSampler


class Process(NamedTuple):
    """This process among those of a run, and how many of these share the machine's CPU cores."""

    rank: int = 0
    world_size: int = 1
    num_local: int = 1


def find_clips(
    split: Split, root: Root, class_names: Sequence[str], options: ClipOptions
) -> tuple[list[VideoRecord], list[str]]:
    """Find the clips of a split, and check what can be checked without decoding.

    Args:
        split: The split.
        root: Directory of the videos, or directory or URL of shards.
        class_names: Y names as the dataset has them.
        options: `on_bad_video` decides what happens to missing and unreadable clips.

    Returns:
        The clips on disk, and the names of the missing ones (only with `on_bad_video="skip"`).

    Raises:
        DataError: Clips are missing, are not videos, or are in the folders of other classes.
    """
    skips = options.on_bad_video == "skip"
    records, missing = find_records(split, root, skip_missing=skips)
    if not split.is_predicted:
        check_folders(records, class_names, split.files[0])
    check_heads(records, skips)
    return records, missing


def build_training_dataset(records: list[VideoRecord], options: ClipOptions) -> VideoDataset:
    """Build a dataset of one random view per clip."""
    frames = _build_sampler("random", options)
    # All frames of a clip are cached: every epoch draws others.
    return _build_dataset(records, frames, build_training_crop(options.image_size), options, whole_clips=True)


def build_validation_dataset(records: list[VideoRecord], options: ClipOptions) -> VideoDataset:
    """Build a dataset of one center view per clip, which is quick, or of the views of a test."""
    if options.val_views == "test":
        return build_test_dataset(records, options)
    frames = _build_sampler("center", options)
    return _build_dataset(records, frames, build_evaluation_crop(options.image_size, 1), options)


def build_test_dataset(records: list[VideoRecord], options: ClipOptions) -> VideoDataset:
    """Build a dataset of all views of every clip."""
    frames = _build_sampler(options.frame_sampling, options, options.num_temporal_views)
    crop = build_evaluation_crop(options.image_size, options.num_spatial_views)
    return _build_dataset(records, frames, crop, options, options.num_spatial_views)


def build_training_loader(dataset: VideoDataset, options: ClipOptions, process: Process) -> DataLoader[VideoBatch]:
    """Build a loader of this process's share of the clips, shuffled anew in every epoch."""
    # Without a global batch, the processes' batches together are an optimizer step.
    step_size = options.global_batch_size or options.batch_size * process.world_size
    sampler = TrainingSampler(
        len(dataset),
        options.batch_size,
        options.seed,
        process.rank,
        process.world_size,
        drop_remainder_of=step_size if options.remainder == "drop" else None,
    )
    return _build_loader(dataset, sampler, collate_training_clips, options, process, keep_workers=True)


def build_evaluation_loader(
    dataset: VideoDataset, options: ClipOptions, process: Process, keep_workers: bool = False
) -> DataLoader[VideoBatch]:
    """Build a loader of this process's share of the clips, in order.

    Args:
        dataset: The clips.
        options: The options.
        process: This process.
        keep_workers: Whether the workers stay for the next reading; they should if there is one in every epoch.
    """
    sampler = EvaluationSampler(len(dataset), process.rank, process.world_size)
    return _build_loader(dataset, sampler, collate_evaluation_clips, options, process, keep_workers)


def _build_sampler(kind: str, options: ClipOptions, num_views: int = 1) -> FrameSampler | WindowSampler:
    if options.window_seconds is None:
        return FrameSampler(kind, options.num_frames, num_views)
    return WindowSampler(options.num_frames, options.window_seconds, num_views, is_random=kind == "random")


def _build_dataset(
    records: list[VideoRecord],
    frames: FrameSampler | WindowSampler,
    crop: Transform,
    options: ClipOptions,
    num_spatial_views: int = 1,
    whole_clips: bool = False,
) -> VideoDataset:
    side = short_side(options.image_size, num_spatial_views)
    # What the decoder has shrunk, the transform finds in its size and does not resize again.
    decoder_side = None if options.exact_decoding else side
    cache = _open_cache(options, side, whole_clips)
    return VideoDataset(records, frames, crop, options.seed, options.decoder, options.on_bad_video, decoder_side, cache)


def _open_cache(options: ClipOptions, side: int, whole_clips: bool) -> FrameCache | None:
    """Open the cache of a run, if it has one."""
    if options.cache is None:
        return None
    store = FrameStore(Path(options.cache).expanduser(), options.cache_gb)
    store.open()
    return FrameCache(store, side, f"{options.decoder}{'/exact' * options.exact_decoding}", whole_clips)


def _build_loader(
    dataset: VideoDataset,
    sampler: Sampler[Any],
    collate: Callable[[list[Clip]], VideoBatch],
    options: ClipOptions,
    process: Process,
    keep_workers: bool,
) -> DataLoader[VideoBatch]:
    # Every device has its own process and loader, and all of these share the cores of one machine.
    num_workers = default_workers(process.num_local) if options.num_workers is None else options.num_workers
    size, timeout = options.batch_size, options.worker_timeout
    return build_loader(dataset, sampler, collate, size, num_workers, timeout, keep_workers)
