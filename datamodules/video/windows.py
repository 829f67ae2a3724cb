"""Windows of a long video, decoded in one pass: memory is bounded by one window, whatever the length of the video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import torch
from av.video.frame import VideoFrame
from torch import Tensor

from datamodules.errors import DataError, describe
from datamodules.options import ClipOptions
from datamodules.transforms.spatial import build_evaluation_crop, short_side
from datamodules.video.dataset import Transform
from datamodules.video.frame_sampling import multi_view
from datamodules.video.pictures import RGBConverter, shrunk_size
from datamodules.video.truncation import check_complete, open_whole

GRID = 1 << 20
"""Sampled instants of a window are fractions of it with this denominator."""
TOLERANCE = 1e-6  # seconds; timestamps are rounded to their time base


class PacketFacts(NamedTuple):
    """What is kept of a packet; the names are those of `av.Packet`."""

    pts: int | None
    duration: int
    is_discard: bool
    is_corrupt: bool


@dataclass(frozen=True)
class Window:
    """A part of a video.

    Attributes:
        start: Its begin, in seconds from the first frame.
        end: Its end, in seconds.
        clip: (V, T, 3, H, W) uint8 frames of it.
    """

    start: float
    end: float
    clip: Tensor


class WindowSampling(NamedTuple):
    """How the clip of a window is made.

    Attributes:
        num_frames: Frames T of a view.
        num_views: Temporal views of a window.
        transform: Resizes and crops a frame, (1, 1, 3, H, W) uint8.
        short_side: Short side to which the decoder shrinks larger frames before; None leaves it to the transform.
    """

    num_frames: int
    num_views: int
    transform: Transform
    short_side: int | None = None


def sampling_of_tests(options: ClipOptions) -> WindowSampling:
    """Return the sampling by which windows are read as the clips of a test are."""
    views = options.num_spatial_views
    side = None if options.exact_decoding else short_side(options.image_size, views)
    crop = build_evaluation_crop(options.image_size, views)
    return WindowSampling(options.num_frames, options.num_temporal_views, crop, side)


def plan_windows(duration: float, length: float, stride: float) -> list[tuple[float, float]]:
    """Cut a video into windows; the last one ends with the video, and may be shorter.

    Args:
        duration: Of the video, in seconds.
        length: Of a window, in seconds.
        stride: From the start of a window to that of the next, in seconds.

    Returns:
        (start, end) of each window, at least one.

    Example:
        >>> plan_windows(12.0, length=5.0, stride=5.0)
        [(0.0, 5.0), (5.0, 10.0), (10.0, 12.0)]
    """
    count = 1 + max(0, int(np.ceil((duration - length - TOLERANCE) / stride)))
    return [(n * stride, min(n * stride + length, duration)) for n in range(count)]


def measure_duration(path: str | Path) -> float:
    """Measure the seconds from the first frame of a video to the end of its last one; nothing is decoded.

    Raises:
        DataError: The file has no video stream or no frames, or is truncated.
    """
    with open_whole(path) as (container, stream):
        # Only numbers are kept: the packets themselves are the whole file.
        packets = [
            PacketFacts(packet.pts, packet.duration or 0, packet.is_discard, packet.is_corrupt)
            for packet in container.demux(stream)
            if packet.size
        ]
        check_complete(path, container, stream, packets)
        shown = [(packet.pts, packet.duration) for packet in packets if not packet.is_discard]
        if not shown:
            raise DataError(f"{path} contains no frame that can be decoded; replace or remove it.")
        if any(pts is None for pts, _ in shown):  # raw streams
            return len(shown) / float(stream.average_rate or 25)
        begin, end = min(pts for pts, _ in shown), max(pts + length for pts, length in shown)
        return float((end - begin) * stream.time_base) or 1 / float(stream.average_rate or 25)


def decode_windows(path: str | Path, length: float, stride: float, sampling: WindowSampling) -> Iterator[Window]:
    """Decode the windows of a video in one pass, front to back.

    The T frames of a view are those shown at the centers of T equal parts of the window's time, so that a variable
    frame rate does not bend time; with a constant one they are the frames that `segment_center` takes.

    Args:
        path: The video.
        length: Of a window, in seconds.
        stride: From the start of a window to that of the next, in seconds.
        sampling: How their clips are made.

    Raises:
        DataError: The file cannot be decoded.
    """
    try:
        windows = plan_windows(measure_duration(path), length, stride)
        instants = multi_view(GRID, sampling.num_frames, sampling.num_views) / GRID  # (V, T) in 0..1
        yield from _cut(_read_frames(path), windows, instants, PictureMaker(sampling))
    except (av.FFmpegError, OSError) as error:
        raise DataError(f"{path} cannot be decoded as a video ({describe(error)}); replace or remove it.") from error


class PictureMaker:
    """Makes the pictures of a window's clip from decoded frames, one by one."""

    def __init__(self, sampling: WindowSampling) -> None:
        self._sampling, self._convert = sampling, RGBConverter()

    def __call__(self, frame: VideoFrame) -> Tensor:
        """Return the (C, 1, 3, H, W) uint8 crops of a frame."""
        image = self._convert(frame, shrunk_size(frame.width, frame.height, self._sampling.short_side))
        return self._sampling.transform(torch.from_numpy(np.ascontiguousarray(image)).movedim(-1, 0)[None, None])


def stack_views(frames: Iterable[Tensor], num_views: int) -> Tensor:
    """Join the frames of all temporal views, (C, 1, 3, H, W) each with C crops, to a (V * C, T, 3, H, W) clip."""
    crops = torch.stack([frame.squeeze(1) for frame in frames])  # (V * T, C, 3, H, W)
    return crops.unflatten(0, (num_views, -1)).transpose(1, 2).flatten(0, 1)


def _read_frames(path: str | Path) -> Iterator[tuple[float, VideoFrame]]:
    """Decode every frame with its time from the first one."""
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        stream.thread_type = "AUTO"  # one long video has no other workers beside it
        first = None
        for number, frame in enumerate(container.decode(stream)):
            time = number / float(stream.average_rate or 25) if frame.time is None else frame.time
            first = time if first is None else first
            yield time - first, frame


def _cut(
    frames: Iterator[tuple[float, VideoFrame]],
    windows: list[tuple[float, float]],
    instants: np.ndarray,
    make: PictureMaker,
) -> Iterator[Window]:
    """Yield each window as soon as the frame after its last instant has arrived."""
    times = [start + (end - start) * instants.ravel() for start, end in windows]
    wanted = np.unique(np.concatenate(times))
    kept: dict[float, Tensor] = {}  # the frame shown at each instant that a window still waits for
    shown, next_instant, next_window = None, 0, 0
    for time, frame in chain(frames, [(float("inf"), None)]):
        # The frame before this one was shown at all instants until now; it is converted once, and only if wanted.
        picture = None
        while next_instant < len(wanted) and wanted[next_instant] + TOLERANCE < time and shown is not None:
            picture = make(shown) if picture is None else picture
            kept[wanted[next_instant]] = picture
            next_instant += 1
        shown = frame
        while next_window < len(windows) and times[next_window].max() in kept:
            clip = stack_views((kept[instant] for instant in times[next_window]), len(instants))
            yield Window(*windows[next_window], clip)
            next_window += 1
            if next_window < len(windows):
                begin = times[next_window].min()
                kept = {instant: image for instant, image in kept.items() if instant >= begin}
    if next_window < len(windows):
        raise DataError("The video contains no frame that can be decoded; replace or remove it.")
