"""Decodes selected frames of a video file.

A frame's index is its place in presentation order of a complete decode. That sounds obvious, but decoders that seek by
timestamp or count packets return other frames for B-frames, open groups of pictures and edit lists; see `frame_index`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from datamodules.errors import DataError, describe
from datamodules.video.frame_index import IndexedFrame, build_frame_index, merge_packet_ranges
from datamodules.video.optional_decoders import decode_with_decord, decode_with_torchcodec
from datamodules.video.pictures import ChooseFrames, stack_rgb
from datamodules.video.stages import stage
from datamodules.video.truncation import check_complete, open_whole

# Codecs in which no other picture may refer to one marked as non-reference, so that it can be skipped without harm.
# HEVC is missing: there, pictures of a higher temporal layer may still refer to it.
SKIPPABLE_NONREF = frozenset({"h264", "mpeg4"})


def decode_frames(
    path: Path | str, choose: ChooseFrames, decoder: str = "auto", short_side: int | None = None
) -> np.ndarray:
    """Decode frames of a video, upright, in full size or shrunk.

    Args:
        path: The video: a file, or a range of a tar file (see `datamodules.shards`).
        choose: Maps the number n of frames of the video to the indices to decode: integers in 0..n-1, in an array of
            any shape, in any order, repetitions allowed. It must return the same indices when called again with the
            same n: where n proves wrong during decoding, it is called a second time.
        decoder: A name in `DECODERS`. `auto` is `pyav`, which returns the right frames from every container. Both
            others return wrong ones, without an error, from AVI files with B-frames and several key frames; `decord`
            also from MPEG-4 in MP4 and open groups of pictures in MKV. Of transport streams, `decord` returns wrong
            frames and `torchcodec` refuses some.
        short_side: Short side to shrink the frames to, in the size that torchvision's `Resize(short_side)` gives.
            Smaller frames stay as they are. Real clips then differ from `Resize` by 0.2 to 0.9 of 255 grey levels on
            average (short side 224 or 256). None keeps the full size, exactly as decoded.

    Returns:
        (*shape of the indices, H, W, 3) uint8 RGB.

    Raises:
        DataError: The file cannot be decoded; the message says why.
    """
    try:
        return DECODERS[decoder](path, choose, short_side)
    except (av.FFmpegError, OSError) as error:
        raise DataError(f"{path} cannot be decoded as a video ({describe(error)}); replace or remove it.") from error


def decode_with_pyav(path: Path | str, choose: ChooseFrames, short_side: int | None = None) -> np.ndarray:
    """Decode frames with PyAV, and only the groups of pictures that hold them where timestamps can be trusted.

    The file is read once, front to back, and its compressed packets stay in memory. So there are no seeks, which land
    at different places in different containers, and the work is bounded by the number of packets.
    """
    with open_whole(path) as (container, stream):
        # The loop filter is kept: without it, 16 frames take 10 to 20% less time, but errors add up within a group of
        # pictures, to a mean of 1.4 to 2.9 grey levels; skipped only where nothing refers to, it saves nothing.
        stream.thread_type = "NONE"  # one core per loader worker; the workers already run in parallel
        with stage("index"):
            packets = [packet for packet in container.demux(stream) if packet.size]  # demux ends with an empty packet
            check_complete(path, container, stream, packets)
            index = build_frame_index(container.format.name, stream.codec_context.name, packets)
        if index is not None:
            wanted = choose(len(index))
            found = _decode_indexed(stream.codec_context, packets, index, wanted)
            if found is not None:
                return stack_rgb(found, wanted, short_side)
        found, wanted = _decode_sequentially(path, stream.codec_context, packets, choose)
        return stack_rgb(found, wanted, short_side)


DECODERS: dict[str, Callable[[Path, ChooseFrames, int | None], np.ndarray]] = {
    "auto": decode_with_pyav,
    "pyav": decode_with_pyav,
    "decord": decode_with_decord,
    "torchcodec": decode_with_torchcodec,
}


def _decode_indexed(
    codec: VideoCodecContext, packets: list[Packet], index: list[IndexedFrame], wanted: np.ndarray
) -> dict[int, VideoFrame] | None:
    """Decode the wanted frames by their index; return None if the decoder's output contradicts the index."""
    number_at = {index[number].pts: number for number in np.unique(wanted).tolist()}
    targets = [index[number] for number in number_at.values()]
    target_packets = {frame.packet for frame in targets}
    found: dict[int, VideoFrame] = {}
    for first, last in merge_packet_ranges(targets):
        for frame in _decode_range(codec, packets, first, last, target_packets):
            # Frames are recognized by their timestamp: the decoder delays its output, and with B-frames reorders it.
            if frame.pts in number_at:
                found[number_at[frame.pts]] = frame
    return found if len(found) == len(number_at) else None


def _decode_range(
    codec: VideoCodecContext, packets: list[Packet], first: int, last: int, targets: set[int]
) -> Iterator[VideoFrame]:
    """Decode packets first..last, skipping pictures that are neither wanted nor referred to by others."""
    unwanted = "NONREF" if codec.name in SKIPPABLE_NONREF else "DEFAULT"
    codec.flush_buffers()  # after the drain of an earlier range, the decoder takes no packets until it is flushed
    for position in range(first, last + 1):
        codec.skip_frame = "DEFAULT" if position in targets else unwanted
        yield from codec.decode(packets[position])
    codec.skip_frame = "DEFAULT"
    yield from codec.decode(None)  # drain: the decoder holds back frames while it waits for later packets


def _decode_sequentially(
    path: Path, codec: VideoCodecContext, packets: list[Packet], choose: ChooseFrames
) -> tuple[dict[int, VideoFrame], np.ndarray]:
    """Decode every frame, and return the wanted ones and their numbers; decode again if packets and frames differ."""
    # The number of frames is known only after a complete decode. Guessing that of packets is nearly always right, and
    # keeping only the wanted frames holds a few pictures in memory instead of the whole video.
    wanted = choose(len(packets)) if packets else np.zeros(0, dtype=np.int64)
    found, num_frames = _decode_all(codec, packets, wanted)
    if num_frames == 0:
        raise DataError(f"{path} contains no frame that can be decoded; replace or remove it.")
    if num_frames != len(packets):
        wanted = choose(num_frames)
        found, _ = _decode_all(codec, packets, wanted)
    return found, wanted


def _decode_all(
    codec: VideoCodecContext, packets: list[Packet], wanted: np.ndarray
) -> tuple[dict[int, VideoFrame], int]:
    """Decode every packet; return the wanted frames by index, and the number of all frames."""
    keep, found, num_frames = set(wanted.ravel().tolist()), {}, 0
    codec.flush_buffers()
    for packet in [*packets, None]:  # None drains the decoder
        for frame in codec.decode(packet):
            if num_frames in keep:
                found[num_frames] = frame
            num_frames += 1
    return found, num_frames
