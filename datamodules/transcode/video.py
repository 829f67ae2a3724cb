"""Writes a video anew so that a few of its frames are read quickly: small, with a key frame every few frames."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from datamodules.errors import DataError, describe
from datamodules.transcode.frames import ShownFrame, read_frames
from datamodules.video.decoding import decode_frames

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.ENOENT)
PIXELS = "yuv420p"
RGB = "rgb24"


@dataclass(frozen=True)
class VideoSettings:
    """How videos are written.

    The defaults are measured: 16 frames of a 10 s video are read more than four times as fast. With a key frame every
    8 frames, files are a tenth smaller and reading takes a third longer; with key frames only, files are a quarter
    larger.

    Attributes:
        short_side: Short side of the frames, an even number; smaller videos keep theirs, less one pixel where it is
            odd.
        key_every: Frames from one key frame to the next.
        crf: x264's quality, from 0 (exact) to 51; at 20, pixels differ by 2 of 255 on average.
    """

    short_side: int = 256
    key_every: int = 4
    crf: int = 20

    def encoder_options(self) -> dict[str, str]:
        """Return the options of x264."""
        keys = {"g": self.key_every, "keyint_min": self.key_every, "sc_threshold": 0, "bf": 0, "crf": self.crf}
        # `fastdecode` does without CABAC and the loop filter: half the time to decode, a tenth more bytes. Slower
        # presets than `veryfast` take three times as long, and files become no smaller.
        return {name: str(value) for name, value in keys.items()} | {"tune": "fastdecode", "preset": "veryfast"}


class WriteError(OSError):
    """The copy cannot be written, and neither can others."""


def transcode_video(source: str, target: str, settings: VideoSettings) -> int:
    """Write a video anew as MP4: the same frames in the same order, at the same times, upright and without sound.

    The copy is then read: the data modules must find as many frames in it, of the right size.

    Args:
        source: The video.
        target: The file to write; what is there is overwritten.
        settings: How it is written.

    Returns:
        Its number of frames.

    Raises:
        DataError: The source cannot be read, or the copy is not like it.
        WriteError: The target cannot be written.
    """
    frames = read_frames(source)
    first = next(frames, None)
    if first is None:
        raise DataError(f"{source} contains no frame that can be decoded; replace or remove it.")
    size = copy_size(first.frame.width, first.frame.height, settings.short_side)
    try:
        # The index goes to the front of the file, so that a reader of its first bytes knows all frames.
        with av.open(target, "w", format="mp4", options={"movflags": "+faststart"}) as output:
            num_frames = _encode(output, chain([first], frames), _add_stream(output, first, size, settings))
    except (av.FFmpegError, OSError) as error:
        if error.errno in DISK_ERRORS:
            raise WriteError(error.errno, describe(error), target) from error
        raise DataError(f"{source} cannot be encoded ({describe(error)}); remove it.") from error
    _verify(source, target, num_frames, size)
    return num_frames


def copy_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return width and height of a copy, both even, as the pixel format needs.

    Example:
        >>> copy_size(640, 360, 256), copy_size(360, 640, 256), copy_size(201, 150, 256)
        ((456, 256), (256, 456), (200, 150))
    """
    short, long = sorted((width, height))
    if short <= short_side:
        return max(2, width - width % 2), max(2, height - height % 2)
    long_side = 2 * round(short_side * long / short / 2)
    return (short_side, long_side) if width < height else (long_side, short_side)


def _add_stream(
    output: OutputContainer, first: ShownFrame, size: tuple[int, int], settings: VideoSettings
) -> VideoStream:
    stream = output.add_stream("libx264", rate=first.rate, options=settings.encoder_options())
    context, frame = stream.codec_context, first.frame
    stream.width, stream.height, stream.pix_fmt = *size, PIXELS
    context.time_base = stream.time_base = first.unit
    context.thread_count = 1  # every core has a video of its own
    if frame.format.name != RGB:  # without its tags, a video in BT.709 would be read with other colors
        context.colorspace, context.color_range = frame.colorspace, frame.color_range
    return stream


def _encode(output: OutputContainer, frames: Iterator[ShownFrame], stream: VideoStream) -> int:
    """Encode frames into a stream; return their number."""
    reformatter, number = VideoReformatter(), 0
    for shown in frames:
        # Scaled as in `datamodules.video.pictures`.
        frame = reformatter.reformat(
            shown.frame, stream.width, stream.height, PIXELS, interpolation=Interpolation.AREA, threads=1
        )
        frame.pts, frame.time_base = shown.time, shown.unit
        frame.pict_type = PictureType.NONE  # not the source's: x264 would keep its key frames and B-frames
        output.mux(stream.encode(frame))
        number += 1
    output.mux(stream.encode(None))
    return number


def _verify(source: str, target: str, num_frames: int, size: tuple[int, int]) -> None:
    counts = []

    def choose(num_available: int) -> np.ndarray:
        counts.append(num_available)
        return np.array([0, num_available - 1])

    width, height = size
    try:
        found = decode_frames(target, choose).shape[1:3]
    except DataError as error:
        raise DataError(f"{source} was written, but its copy cannot be read ({error.__cause__ or error}).") from error
    if counts[-1] != num_frames or found != (height, width):
        raise DataError(
            f"{source} has {num_frames} frames, to be written as {width} x {height}, but its copy has {counts[-1]} of "
            f"{found[1]} x {found[0]}; report this."
        )
