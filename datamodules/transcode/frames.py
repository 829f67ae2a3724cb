"""The frames of a video with the times at which they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from datamodules.errors import DataError, describe
from datamodules.video.truncation import check_complete, open_whole
from datamodules.video.windows import PacketFacts

UNTIMED = "avi"
"""The container that stores no times; FFmpeg guesses them, wrongly where there are B-frames."""


class ShownFrame(NamedTuple):
    """A frame, upright, with the time from the first one.

    Attributes:
        frame: The frame, in any pixel format.
        time: When it is shown, in units of `unit`; more than that of the frame before.
        unit: In seconds.
        rate: Frames per second of the whole video, about.
    """

    frame: VideoFrame
    time: int
    unit: Fraction
    rate: Fraction


def read_frames(source: str) -> Iterator[ShownFrame]:
    """Decode every frame of a video in the order shown; where the container has no times, they are regular.

    Raises:
        DataError: It cannot be read, or is truncated.
    """
    try:
        with open_whole(source) as (container, stream):
            stream.thread_type = "NONE"  # every core has a video of its own
            packets: list[PacketFacts] = []
            yield from _time(_decode(container, stream, packets), container, stream)
            check_complete(source, container, stream, packets)
    except (av.FFmpegError, OSError) as error:
        raise DataError(f"{source} cannot be decoded as a video ({describe(error)}); replace or remove it.") from error


def _decode(container: InputContainer, stream: VideoStream, packets: list[PacketFacts]) -> Iterator[VideoFrame]:
    for packet in container.demux(stream):
        if packet.size:  # the last one is empty, and makes the decoder return what it has held back
            packets.append(PacketFacts(packet.pts, packet.duration or 0, packet.is_discard, packet.is_corrupt))
        yield from packet.decode()


def _time(frames: Iterator[VideoFrame], container: InputContainer, stream: VideoStream) -> Iterator[ShownFrame]:
    rate = stream.average_rate or Fraction(25)
    first = last = None
    for number, frame in enumerate(frames):
        if number == 0 and container.format.name != UNTIMED:
            first = frame.pts
        unit = 1 / rate if first is None else stream.time_base
        time = number if first is None or frame.pts is None else frame.pts - first
        last = time if last is None else max(time, last + 1)  # a damaged time must not put frames in another order
        yield ShownFrame(_turn(frame), last, unit, rate)


def _turn(frame: VideoFrame) -> VideoFrame:
    """Return a frame upright: phones store portrait videos on their side, with a display matrix."""
    turns = round(frame.rotation / 90)
    if not turns % 4:
        return frame
    return VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns)), "rgb24")
