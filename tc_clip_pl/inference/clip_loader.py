"""Video files to clips: decoding by workers, ahead of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.errors import DataError
from datamodules.options import ClipOptions
from datamodules.splits.split import VideoRecord
from datamodules.transforms.spatial import build_evaluation_crop
from datamodules.video.batch import Clip
from datamodules.video.dataset import VideoDataset
from datamodules.video.frame_sampling import FrameSampler
from datamodules.video.loaders import default_workers


def load_clips(videos: Sequence[str], options: ClipOptions) -> DataLoader[list[Clip]]:
    """Load one clip of each video as the tests of a data module do, in batches and in order.

    Args:
        videos: Their files; of one that cannot be read, the clip is black and has an `error`.
        options: Sampling, views, size, decoder, batch size and workers.
    """
    dataset = VideoDataset(
        [VideoRecord(path=video, video_id=video, label=0) for video in videos],
        FrameSampler(options.frame_sampling, options.num_frames, options.num_temporal_views),
        build_evaluation_crop(options.image_size, options.num_spatial_views),
        options.seed,
        options.decoder,
        on_bad_video="skip",
    )
    workers = default_workers(1) if options.num_workers is None else options.num_workers
    workers = min(workers, len(videos) // options.batch_size)  # a process costs seconds: a few videos do not pay for it
    return DataLoader(
        dataset,
        options.batch_size,
        collate_fn=list,
        num_workers=workers,
        timeout=options.worker_timeout if workers else 0,
        generator=torch.Generator(),
    )


def read_clip(video: str, options: ClipOptions) -> Tensor:
    """Read the (V, T, 3, H, W) uint8 clip of one video, in this process.

    Raises:
        DataError: It cannot be read.
    """
    ((clip,),) = load_clips([video], replace(options, batch_size=1, num_workers=0))
    if clip.error:
        raise DataError(why_unreadable(clip))
    return clip.video


def why_unreadable(clip: Clip) -> str | None:
    """Return the error of a clip without the name that stands before it; None if there is none."""
    return clip.error and clip.error.removeprefix(f"{clip.video_id}: ")
