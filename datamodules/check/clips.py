"""Inspects video files in parallel: in processes, which a crash of the decoder cannot stop, or quickly in threads."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from functools import partial
from typing import NamedTuple

import av
import numpy as np

from datamodules.errors import DataError
from datamodules.parallel import NUM_THREADS, map_in_processes
from datamodules.video.clip_files import is_in_shard
from datamodules.video.decoding import decode_frames
from datamodules.video.frame_sampling import segment_center
from datamodules.video.truncation import find_missing_bytes

CHUNK_SIZE = 16  # files per task: many enough to be efficient, few enough to narrow down a crash


class Finding(NamedTuple):
    """The result of inspecting a file.

    Attributes:
        num_frames: Number of frames of a good file; None if its header does not say.
        kind: Kind of problem, a name in `datamodules.check.problems.KINDS`; None if the file is good.
        detail: What is wrong.
    """

    num_frames: int | None = None
    kind: str | None = None
    detail: str = ""


Inspect = Callable[[str], Finding]


def read_header(path: str) -> Finding:
    """Open a video and read its header, without decoding; a clip of a shard was opened when the shard was written."""
    if is_in_shard(path):
        return Finding()
    try:
        with av.open(path) as container:
            stream = container.streams.best("video")
            if stream is None:
                return Finding(kind="undecodable", detail="no video stream")
            if missing := find_missing_bytes(path):
                return Finding(kind="undecodable", detail=f"truncated: its header promises {missing} more bytes")
            return Finding(stream.frames or None)  # 0 means that the container does not store the number
    except (av.FFmpegError, OSError) as error:
        return Finding(kind="undecodable", detail=error.strerror or type(error).__name__)


def decode_clip(path: str, num_frames: int, decoder: str) -> Finding:
    """Decode the frames of an evaluation view, and the first and last frame of the video.

    Args:
        path: The video file.
        num_frames: Number T of frames per view.
        decoder: A name in `datamodules.video.decoding.DECODERS`.
    """
    counts = []

    def choose(num_available: int) -> np.ndarray:
        counts.append(num_available)
        # With the last frame, the whole length of the file is covered: a file may be damaged at its end only.
        return np.array([0, *segment_center(num_available, num_frames), num_available - 1])

    try:
        decode_frames(path, choose, decoder)
    except DataError as error:
        # The decoder's own reason is shorter than the sentence, which repeats the path.
        reason = getattr(error.__cause__, "strerror", None)
        return Finding(kind="undecodable", detail=reason or str(error).removeprefix(f"{path} "))
    return Finding(counts[-1])  # the last call has the true number; see decode_frames


def build_inspection(level: str, num_frames: int, decoder: str) -> Inspect | None:
    """Return the function that inspects a file at a level, or None if the level opens no files.

    Args:
        level: A name in `LEVELS`.
        num_frames: Number T of frames per view.
        decoder: A name in `datamodules.video.decoding.DECODERS`.
    """
    return LEVELS[level](num_frames, decoder)


# From quick to thorough.
LEVELS: dict[str, Callable[[int, str], Inspect | None]] = {
    "presence": lambda num_frames, decoder: None,
    "header": lambda num_frames, decoder: read_header,
    "decode": lambda num_frames, decoder: partial(decode_clip, num_frames=num_frames, decoder=decoder),
}


def inspect_files(paths: Sequence[str], inspect: Inspect, num_workers: int) -> Iterator[tuple[str, Finding]]:
    """Inspect files in parallel.

    Args:
        paths: The files.
        inspect: Inspects one file; it must be picklable.
        num_workers: Number of processes; 0 takes threads of this one, which start at once. They suit headers: FFmpeg
            reads these without Python's lock, and does not decode.

    Yields:
        A path and its finding, in order of completion.
    """
    chunks = [paths[start : start + CHUNK_SIZE] for start in range(0, len(paths), CHUNK_SIZE)]
    if not num_workers:
        yield from _inspect_in_threads(chunks, inspect)
        return
    # Of a chunk that ended its process, each file is inspected alone.
    suspects = yield from _inspect_in_processes(chunks, inspect, num_workers)
    crashing = yield from _inspect_in_processes([[path] for path in suspects], inspect, num_workers)
    for path in crashing:
        yield path, Finding(kind="undecodable", detail="crashes the decoder")


def _inspect_in_threads(chunks: Sequence[Sequence[str]], inspect: Inspect) -> Iterator[tuple[str, Finding]]:
    pool = ThreadPoolExecutor(NUM_THREADS)
    try:
        for future in as_completed([pool.submit(_inspect_chunk, chunk, inspect) for chunk in chunks]):
            yield from future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # after Ctrl-C, only the files at hand are still read


def _inspect_in_processes(
    chunks: Sequence[Sequence[str]], inspect: Inspect, num_workers: int
) -> Generator[tuple[str, Finding], None, list[str]]:
    """Yield findings; return the files of the chunks that ended their process."""
    suspects: list[str] = []
    work = partial(_inspect_chunk, inspect=inspect)
    with closing(map_in_processes(work, chunks, num_workers, crashed=lambda chunk: None)) as done:
        for chunk, findings in done:
            if findings is None:
                suspects += chunk
            else:
                yield from findings
    return suspects


def _inspect_chunk(paths: Sequence[str], inspect: Inspect) -> list[tuple[str, Finding]]:
    return [(path, _inspect_safely(path, inspect)) for path in paths]


def _inspect_safely(path: str, inspect: Inspect) -> Finding:
    try:
        return inspect(path)
    except Exception as error:  # of any kind, since it would stop a training run as well
        return Finding(kind="undecodable", detail=f"{type(error).__name__}: {error}")
