"""A few frames of a part of a video, found by seeking: the rest of a long file is not decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame

from datamodules.errors import DataError, describe
from datamodules.video.pictures import RGBConverter
from datamodules.video.windows import TOLERANCE


def read_excerpt(path: str | Path, start: float, end: float, num_frames: int) -> list[np.ndarray]:
    """Read the frames shown at the centers of equal parts of a span of time.

    Args:
        path: The video.
        start: In seconds from the first frame.
        end: In seconds.
        num_frames: How many.

    Returns:
        (H, W, 3) uint8 RGB each, upright.

    Raises:
        DataError: The file cannot be decoded, or has no frame there.
    """
    instants = start + (end - start) * (np.arange(num_frames) + 0.5) / num_frames
    try:
        with av.open(str(path)) as container:
            frames = list(_shown_at(_read_from(container, instants[0]), instants))
    except (av.FFmpegError, OSError) as error:
        raise DataError(f"{path} cannot be decoded as a video ({describe(error)}); replace or remove it.") from error
    if not frames:
        raise DataError(f"{path} has no frame at {start:g} s; it has changed since.")
    convert = RGBConverter()
    images = [np.ascontiguousarray(convert(frame, (frame.width, frame.height))) for frame in frames]
    return images + images[-1:] * (num_frames - len(images))


def _read_from(container: InputContainer, instant: float) -> Iterator[tuple[float, VideoFrame]]:
    """Decode frames with their seconds from the first one, beginning at the key frame before an instant."""
    stream = container.streams.best("video")
    if stream is None:
        return
    stream.thread_type = "AUTO"
    first = next(container.decode(stream), None)
    if first is None:
        return
    if first.time is None:  # raw streams know no time, and cannot be sought
        rate = float(stream.average_rate or 25)
        yield 0.0, first
        yield from ((number / rate, frame) for number, frame in enumerate(container.decode(stream), 1))
        return
    container.seek(int((first.time + instant) / stream.time_base), stream=stream, backward=True)
    for frame in container.decode(stream):
        yield frame.time - first.time, frame


def _shown_at(frames: Iterator[tuple[float, VideoFrame]], instants: np.ndarray) -> Iterator[VideoFrame]:
    """Yield the last frame before each instant."""
    shown, wanted = None, 0
    for time, frame in frames:
        while wanted < len(instants) and instants[wanted] + TOLERANCE < time and shown is not None:
            yield shown
            wanted += 1
        if wanted == len(instants):
            return
        shown = frame
    yield from [shown] * (len(instants) - wanted if shown is not None else 0)
