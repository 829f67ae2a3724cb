"""Video files to clips: decoding by workers, ahead of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import Tensor
from torch.utils.data import DataLoader, SequentialSampler

from datamodules.errors import DataError
from datamodules.loading import build_test_dataset
from datamodules.options import ClipOptions
from datamodules.splits.split import VideoRecord
from datamodules.video.batch import PADDING_LABEL, VideoBatch, collate_evaluation_clips
from datamodules.video.loaders import build_loader, default_workers


def load_clips(videos: Sequence[str], options: ClipOptions) -> DataLoader[VideoBatch]:
    """Load one clip of each video as the tests of a data module do, in batches and in order.

    Args:
        videos: Their files; the clip of one that cannot be read is black, and `errors` tells why.
        options: Sampling, views, size, decoder, batch size and workers.
    """
    records = [VideoRecord(path=video, video_id=video, label=0) for video in videos]
    dataset = build_test_dataset(records, replace(options, on_bad_video="skip"))
    workers = default_workers(1) if options.num_workers is None else options.num_workers
    workers = min(workers, len(videos) // options.batch_size)  # a process costs seconds: a few videos do not pay for it
    return build_loader(
        dataset,
        SequentialSampler(dataset),
        collate_evaluation_clips,
        options.batch_size,
        workers,
        options.worker_timeout,
        keep_workers=False,
    )


def errors(batch: VideoBatch) -> Iterator[str | None]:
    """Yield for each clip of a batch why it cannot be read, or None."""
    skipped = iter(batch.skipped)
    for video, label in zip(batch.video_id, batch.label.tolist(), strict=True):
        yield next(skipped).removeprefix(f"{video}: ") if label == PADDING_LABEL else None


def read_clip(video: str, options: ClipOptions) -> Tensor:
    """Read the (V, T, 3, H, W) uint8 clip of one video, in this process.

    Raises:
        DataError: It cannot be read.
    """
    (batch,) = load_clips([video], replace(options, batch_size=1, num_workers=0))
    (error,) = errors(batch)
    if error:
        raise DataError(error)
    return batch.video[0]
