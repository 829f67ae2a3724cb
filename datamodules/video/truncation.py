"""Finds Matroska and WebM files that end too early, which FFmpeg reads as shorter videos without an error.

Their headers give no number of frames, but the size of the whole content, and mostly a duration.
"""

from __future__ import annotations

import os

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

MATROSKA = "matroska,webm"
EBML_HEAD, SEGMENT = 0x1A45DFA3, 0x18538067  # the ids of the two elements that such a file consists of
# A file whose last frame is shown before this fraction of the duration is incomplete. The fraction is low because the
# last frame of a video with a variable rate may be shown for long.
MIN_SHOWN_FRACTION = 0.5


def find_missing_bytes(path: str) -> int:
    """Return how many bytes a Matroska or WebM file lacks by its own header; 0 for others, or if it does not say."""
    with open(path, "rb") as file:
        head = file.read(4096)
    element = _read_element(head, 0)
    if element is None or element[0] != EBML_HEAD or element[2] is None:
        return 0
    segment = _read_element(head, element[1] + element[2])
    # A recording that could not seek back to its header leaves the size unknown.
    if segment is None or segment[0] != SEGMENT or segment[2] is None:
        return 0
    return max(0, segment[1] + segment[2] - os.path.getsize(path))


def ends_early(container: InputContainer, stream: VideoStream, packets: list[Packet]) -> bool:
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
