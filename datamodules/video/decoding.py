"""Reads chosen frames of a video file; a frame's index is its place in presentation order of a complete decode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from datamodules.errors import DataError

ChooseFrames = Callable[[int], np.ndarray]

# Containers that give every packet its presentation time, and codecs that show exactly one frame for each packet.
TIMED_CONTAINERS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
ONE_FRAME_PER_PACKET = frozenset({"h264", "hevc", "mpeg4", "vp9"})
# Codecs whose standard rules out that a picture marked as no reference is used by any other.
SKIPPABLE = frozenset({"h264", "mpeg4"})
# Below this share of the frames that the header promises, a file counts as cut off. Headers also count frames that an
# edit list hides or that were dropped in recording, so the share is low.
COMPLETE_SHARE = 0.5


def decode_frames(path: Path | str, choose: ChooseFrames, decoder: str = "auto") -> np.ndarray:
    """Reads frames of a video, upright and in full size.

    Args:
        path: The video file.
        choose: Given the number n of frames of the video, the indices wanted: whole numbers in 0..n-1 in an array of
            any shape, in any order and with repetitions.
        decoder: A name in `DECODERS`. `auto` is `pyav`, which returns the right frames from every container;
            `decord` is known to return wrong ones from AVI files with B-frames and several key frames.

    Returns:
        (*shape of the indices, H, W, 3) uint8 RGB.

    Raises:
        DataError: The file cannot be read, with the reason.
    """
    try:
        return DECODERS[decoder](Path(path), choose)
    except (av.FFmpegError, OSError) as error:
        raise DataError(f"{path} cannot be decoded as a video ({_reason(error)}); replace or remove it.") from error


def decode_with_pyav(path: Path, choose: ChooseFrames) -> np.ndarray:
    """Reads frames with PyAV, decoding no more than needed where timestamps can be trusted.

    The file is read once: its packets stay in memory, compressed, and those needed are decoded from there. The work is
    bounded by the number of packets.
    """
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        if stream is None:
            raise DataError(f"{path} holds no video stream; replace or remove it.")
        stream.thread_type = "NONE"  # one core a worker: parallelism comes from the workers
        packets = [packet for packet in container.demux(stream) if packet.size]
        _check_complete(path, packets, stream.frames)
        index = _presentation_order(container.format.name, stream.codec_context.name, packets)
        if index is not None:
            wanted = choose(len(index))
            found = _decode_by_jumps(stream.codec_context, packets, index, wanted)
            if found is not None:
                return _gather(found, wanted)
        return _decode_from_start(path, stream.codec_context, packets, choose)


def decode_with_decord(path: Path, choose: ChooseFrames) -> np.ndarray:
    """Reads frames with decord, an optional dependency."""
    try:
        import decord
    except ImportError as error:
        raise DataError("decord is not installed on this machine; use --data.decoder pyav.") from error
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        wanted = choose(len(reader))
        frames = reader.get_batch(wanted.ravel().tolist()).asnumpy()
    # decord tells of broken files by its own error, and of files without a frame by RuntimeError.
    except (decord.DECORDError, RuntimeError) as error:
        raise DataError(f"decord cannot decode {path} ({_reason(error)}); try --data.decoder pyav.") from error
    return frames.reshape(*wanted.shape, *frames.shape[1:])


DECODERS: dict[str, Callable[[Path, ChooseFrames], np.ndarray]] = {
    "auto": decode_with_pyav,
    "pyav": decode_with_pyav,
    "decord": decode_with_decord,
}


@dataclass(frozen=True)
class _Entry:
    """One shown frame: its timestamp, the packet that carries it, and the key packet from where to decode it."""

    pts: int
    packet: int
    key: int


def _check_complete(path: Path, packets: list[Packet], num_promised: int) -> None:
    if len(packets) < COMPLETE_SHARE * num_promised or (packets and packets[-1].is_corrupt):
        raise DataError(
            f"{path} is cut off (its header promises {num_promised} frames, {len(packets)} are there, the last perhaps "
            "in part); replace or remove it."
        )


def _presentation_order(container: str, codec: str, packets: list[Packet]) -> list[_Entry] | None:
    """Lists the frames in the order they are shown, or None where packets do not tell that for certain."""
    if container not in TIMED_CONTAINERS or codec not in ONE_FRAME_PER_PACKET:
        return None
    times = [packet.pts for packet in packets]
    keys = [position for position, packet in enumerate(packets) if packet.is_keyframe]
    if not keys or keys[0] != 0 or None in times or len(set(times)) < len(times) or min(times) < times[0]:
        return None
    entries, key = [], 0
    for position, packet in enumerate(packets):
        previous = key
        if packet.is_keyframe:
            key = previous = position
        elif packet.pts < times[key]:
            # Shown before the key frame that precedes it in the file: it may need the group before as well.
            previous = max((k for k in keys if k < key), default=0)
        if not packet.is_discard:  # cut away by an edit list: decoded, never shown
            entries.append(_Entry(packet.pts, position, previous))
    return sorted(entries, key=lambda entry: entry.pts)


def _decode_by_jumps(
    codec: VideoCodecContext, packets: list[Packet], index: list[_Entry], wanted: np.ndarray
) -> dict[int, VideoFrame] | None:
    """Decodes the wanted frames from their key frames on; None if the decoder's output contradicts the index."""
    number_at = {index[number].pts: number for number in np.unique(wanted).tolist()}
    targets = [index[number] for number in number_at.values()]
    wanted_packets = {entry.packet for entry in targets}
    found: dict[int, VideoFrame] = {}
    for first, last in _runs(targets):
        for frame in _decode_run(codec, packets, first, last, wanted_packets, set(number_at)):
            found[number_at[frame.pts]] = frame
    return found if len(found) == len(number_at) else None


def _runs(targets: list[_Entry]) -> list[tuple[int, int]]:
    """Joins the packets from key to target, for all targets, into [first, last] ranges that do not overlap."""
    runs: list[tuple[int, int]] = []
    for first, last in sorted((target.key, target.packet) for target in targets):
        if runs and first <= runs[-1][1]:
            runs[-1] = (runs[-1][0], max(runs[-1][1], last))
        else:
            runs.append((first, last))
    return runs


def _decode_run(
    codec: VideoCodecContext, packets: list[Packet], first: int, last: int, wanted: set[int], times: set[int]
) -> Iterator[VideoFrame]:
    """Decodes packets first..last, leaving out pictures that are neither wanted nor used by others."""
    unwanted = "NONREF" if codec.name in SKIPPABLE else "DEFAULT"
    codec.flush_buffers()
    for position in range(first, last + 1):
        codec.skip_frame = "DEFAULT" if position in wanted else unwanted
        yield from (frame for frame in codec.decode(packets[position]) if frame.pts in times)
    codec.skip_frame = "DEFAULT"
    yield from (frame for frame in codec.decode(None) if frame.pts in times)


def _decode_from_start(path: Path, codec: VideoCodecContext, packets: list[Packet], choose: ChooseFrames) -> np.ndarray:
    """Decodes every frame; if there are not as many as packets, once more with the true number."""
    wanted = choose(len(packets)) if packets else np.zeros(0, dtype=np.int64)
    found, count = _decode_all(codec, packets, wanted)
    if count == 0:
        raise DataError(f"{path} holds no frame that can be decoded; replace or remove it.")
    if count != len(packets):
        wanted = choose(count)
        found, _ = _decode_all(codec, packets, wanted)
    return _gather(found, wanted)


def _decode_all(
    codec: VideoCodecContext, packets: list[Packet], wanted: np.ndarray
) -> tuple[dict[int, VideoFrame], int]:
    """Decodes every packet; returns the wanted frames by index, and how many there were in all."""
    keep, found, count = set(wanted.ravel().tolist()), {}, 0
    codec.flush_buffers()
    for packet in [*packets, None]:
        for frame in codec.decode(packet):
            if count in keep:
                found[count] = frame
            count += 1
    return found, count


def _gather(found: dict[int, VideoFrame], wanted: np.ndarray) -> np.ndarray:
    """Converts frames to RGB, upright, all in the size of the first, in the order asked for."""
    numbers = wanted.ravel().tolist()
    first, converter = found[numbers[0]], VideoReformatter()
    images = {}
    for number, frame in found.items():
        image = converter.reformat(frame, first.width, first.height, "rgb24").to_ndarray()
        images[number] = np.rot90(image, round(frame.rotation / 90))
    stacked = np.stack([images[number] for number in numbers])
    return stacked.reshape(*wanted.shape, *stacked.shape[1:])


def _reason(error: Exception) -> str:
    """Returns the first line of an error, or its kind if it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)
