"""Locates frames among the packets of a video, so that only the groups of pictures that hold them are decoded.

The index follows presentation order: frame i is the i-th frame shown, which with B-frames is not the i-th packet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from av.packet import Packet

# Containers that store a presentation time with every packet. AVI stores none, so that FFmpeg can only guess it where
# there are B-frames.
TIMED_CONTAINERS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
# Codecs in which every packet shows exactly one frame. VP8 is missing: some of its packets hold nothing but a hidden
# reference frame.
ONE_FRAME_PER_PACKET = frozenset({"h264", "hevc", "mpeg4", "vp9"})


@dataclass(frozen=True)
class IndexedFrame:
    """Where to find one frame.

    Attributes:
        pts: Presentation timestamp.
        packet: Position of its packet in the file.
        start: Position of the key packet at which decoding must start to get this frame right.
    """

    pts: int
    packet: int
    start: int


def build_frame_index(container: str, codec: str, packets: list[Packet]) -> list[IndexedFrame] | None:
    """Index the frames of a video in presentation order, from the timestamps and key flags of its packets.

    Args:
        container: FFmpeg's name of the container format.
        codec: FFmpeg's name of the codec.
        packets: All packets of the stream, in file order.

    Returns:
        One entry for each frame shown, or None where the packets do not determine the frames for certain.
    """
    if container not in TIMED_CONTAINERS or codec not in ONE_FRAME_PER_PACKET:
        return None
    times = [packet.pts for packet in packets]
    if not packets or not packets[0].is_keyframe or None in times or len(set(times)) < len(times):
        return None
    if min(times) < times[0]:
        return None  # frames shown before the first key frame refer to pictures that are not in the file
    frames = []
    key = previous_key = 0
    for position, packet in enumerate(packets):
        if packet.is_keyframe:
            previous_key, key = key, position
        # Open GOP: B-frames that follow a key frame in the file but are shown before it may refer to both groups.
        # Decoded from their own key frame on, they come out damaged, often without an error.
        start = previous_key if packet.pts < times[key] else key
        # An edit list (often the first frames of a trimmed MP4) discards packets: the decoder needs them as references
        # but never shows them, so they must not count as frames.
        if not packet.is_discard:
            frames.append(IndexedFrame(packet.pts, position, start))
    return sorted(frames, key=lambda frame: frame.pts)


def merge_packet_ranges(frames: Iterable[IndexedFrame]) -> list[tuple[int, int]]:
    """Return the packets to decode for some frames, as disjoint (first, last) ranges in file order.

    Frames of one group share its range, so that no packet is decoded twice.
    """
    ranges: list[tuple[int, int]] = []
    # Sorted by start and not by packet: a leading frame of an open group starts one group earlier than its neighbors.
    for first, last in sorted((frame.start, frame.packet) for frame in frames):
        if ranges and first <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], last))
        else:
            ranges.append((first, last))
    return ranges
