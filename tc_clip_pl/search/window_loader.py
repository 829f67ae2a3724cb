"""The windows of many videos, decoded by workers ahead of the model; memory does not grow with the videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from datamodules.errors import DataError
from datamodules.options import ClipOptions
from datamodules.video.loaders import default_workers
from datamodules.video.windows import Window, decode_windows, sampling_of_tests
from tc_clip_pl.search.video_sources import local_copy


@dataclass(frozen=True)
class Piece:
    """A window of a video, or the end of the video.

    Attributes:
        video: Its path or URL.
        window: The window; None at the end.
        error: Why the video cannot be read further, or None; only at the end.
    """

    video: str
    window: Window | None = None
    error: str | None = None


class WindowDataset(IterableDataset[Piece]):
    """Reads the windows of videos one after the other; every worker has its own videos.

    Args:
        videos: Paths or URLs.
        window: Length of a window, in seconds; `inf` for the whole video.
        stride: From the start of a window to that of the next, in seconds.
        options: How frames are sampled and cropped.
    """

    def __init__(self, videos: Sequence[str], window: float, stride: float, options: ClipOptions) -> None:
        self.videos, self.window, self.stride, self.options = videos, window, stride, options

    def __iter__(self) -> Iterator[Piece]:
        worker = get_worker_info()
        own = self.videos if worker is None else self.videos[worker.id :: worker.num_workers]
        for video in own:
            try:
                for window in self._decode(video):
                    yield Piece(video, window)
                yield Piece(video)
            except DataError as error:
                yield Piece(video, error=str(error).removeprefix(f"{video} "))

    def _decode(self, video: str) -> Iterator[Window]:
        length = min(self.window, 1e9)  # s
        with local_copy(video) as path:
            try:
                yield from decode_windows(path, length, self.stride, sampling_of_tests(self.options))
            except DataError as error:
                raise DataError(str(error).replace(path, video)) from error


def load_windows(videos: Sequence[str], window: float, stride: float, options: ClipOptions) -> DataLoader[list[Piece]]:
    """Load the windows of videos in batches; those of a video are in order, other videos may come in between.

    Args:
        videos: Paths or URLs.
        window: Length of a window, in seconds; `inf` for the whole video.
        stride: From the start of a window to that of the next, in seconds.
        options: Sampling, views, size, batch size and workers.
    """
    workers = default_workers(1) if options.num_workers is None else options.num_workers
    workers = min(workers, len(videos) // 2)  # a process costs seconds: a few videos do not pay for it
    return DataLoader(
        WindowDataset(videos, window, stride, options),
        options.batch_size,
        collate_fn=list,
        num_workers=workers,
        timeout=options.worker_timeout if workers else 0,
        generator=torch.Generator(),
    )
