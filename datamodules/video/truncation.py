"""Finds Matroska, WebM and MP4 files that end too early, which FFmpeg opens without an error.

Headers of the first two give no number of frames, but the size of the whole content, and mostly a duration. An MP4 is
cut in its frames only where its header stands before them, as in downloads; elsewhere it does not open.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from datamodules.errors import DataError
from datamodules.video.clip_files import open_clip
from datamodules.video.stages import stage

MATROSKA = "matroska,webm"
EBML_HEAD, SEGMENT = 0x1A45DFA3, 0x18538067  # the ids of the two elements that such a file consists of
FIRST_BOXES = (b"ftyp", b"wide", b"free", b"skip", b"mdat", b"moov", b"pnot")  # of MP4 and QuickTime, by their kind
# A file whose last frame is shown before this fraction of the duration is incomplete. The fraction is low because the
# last frame of a video with a variable rate may be shown for long.
MIN_SHOWN_FRACTION = 0.5
# A file with fewer packets than this fraction of the frames its header promises counts as truncated. The fraction is
# low because headers also count frames that an edit list hides or that were dropped in recording.
MIN_COMPLETE_FRACTION = 0.5


def find_missing_bytes(path: str) -> int:
    """Return how many bytes a Matroska, WebM or MP4 file lacks by its own sizes; 0 for others, or if it has none."""
    with open(path, "rb") as file:
        head = file.read(4096)
        if head[4:8] in FIRST_BOXES:
            return _missing_in_boxes(file, os.path.getsize(path))
    return _missing_in_segment(head, os.path.getsize(path))


def _missing_in_boxes(file: BinaryIO, size: int) -> int:
    """Return how many bytes of its frames, the box `mdat`, an MP4 lacks."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        box = file.read(16)
        length, kind = int.from_bytes(box[:4], "big"), box[4:8]
        length = int.from_bytes(box[8:], "big") if length == 1 else length  # 1: too long for four bytes
        if kind == b"mdat" and start + length > size:
            return start + length - size
        if length < 8:  # 0: up to the end of the file
            return 0
        start += length
    return 0


def _missing_in_segment(head: bytes, size: int) -> int:
    element = _read_element(head, 0)
    if element is None or element[0] != EBML_HEAD or element[2] is None:
        return 0
    segment = _read_element(head, element[1] + element[2])
    # A recording that could not seek back to its header leaves the size unknown.
    if segment is None or segment[0] != SEGMENT or segment[2] is None:
        return 0
    return max(0, segment[1] + segment[2] - size)


@contextmanager
def open_whole(path: Path | str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file that has all the bytes that it promises; yield it with its video stream.

    Raises:
        DataError: Bytes are missing, or there is no video stream.
        av.FFmpegError, OSError: It cannot be opened.
    """
    with stage("open"):
        clip = open_clip(path)
        # First: an MP4 that is cut where its header should be does not even open.
        if isinstance(clip, str) and (missing := find_missing_bytes(clip)):
            raise DataError(f"{path} is truncated: its header promises {missing} more bytes; replace or remove it.")
        container = av.open(clip)
    with container:
        stream = container.streams.best("video")
        if stream is None:
            raise DataError(f"{path} contains no video stream; replace or remove it.")
        yield container, stream


def check_complete(path: Path | str, container: InputContainer, stream: VideoStream, packets: Sequence[Packet]) -> None:
    """Check that a file has the frames that it promises: FFmpeg reports a truncated one as a shorter video.

    Args:
        path: The file, for the message.
        container: The open file.
        stream: Its video stream.
        packets: All packets of the stream, or objects with their `pts`, `duration` and `is_corrupt`.

    Raises:
        DataError: It is truncated.
    """
    if len(packets) < MIN_COMPLETE_FRACTION * stream.frames or (packets and packets[-1].is_corrupt):
        raise DataError(
            f"{path} is truncated: its header promises {stream.frames} frames, but it has {len(packets)}, the last of "
            "which may be incomplete; replace or remove it."
        )
    if ends_early(container, stream, packets):
        raise DataError(f"{path} is truncated: it ends long before its duration is over; replace or remove it.")


def ends_early(container: InputContainer, stream: VideoStream, packets: Sequence[Packet]) -> bool:
    """Return whether the last frame of a Matroska or WebM video comes long before its duration is over.

    Args:
        container: The open file.
        stream: Its video stream.
        packets: All packets of the stream.
    """
    duration = _video_duration(container, stream)
    times = [packet.pts + (packet.duration or 0) for packet in packets if packet.pts is not None]
    if container.format.name != MATROSKA or duration is None or not times:
        return False
    start = (container.start_time or 0) / 1e6
    return float(max(times) * stream.time_base) - start < MIN_SHOWN_FRACTION * duration


def _video_duration(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the duration of the video in seconds, or None if only that of all streams together is known."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    # Where muxers note the duration of one stream: `00:00:10.400000000`.
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        # Audio may go on after the video, so that the duration of the file says nothing about the video.
        return container.duration / 1e6 if container.duration and len(container.streams) == 1 else None


def _read_element(data: bytes, start: int) -> tuple[int, int, int | None] | None:
    """Return the id, the start of the content and its size (None: unknown) of an EBML element; None if none is there.

    Both numbers have a variable length, given by the leading zero bits of their first byte.
    """
    if start >= len(data) or not data[start]:
        return None
    id_end = start + 9 - data[start].bit_length()
    if id_end >= len(data) or not data[id_end]:
        return None
    length = 9 - data[id_end].bit_length()
    size = int.from_bytes(data[id_end : id_end + length], "big") & ((1 << 7 * length) - 1)  # without the length marker
    is_unknown = size == (1 << 7 * length) - 1
    return int.from_bytes(data[start:id_end], "big"), id_end + length, None if is_unknown else size
