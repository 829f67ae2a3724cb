"""Examines the files of clips in processes of their own, so that neither a hard file nor a crash stops the check."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import NamedTuple

import av
import numpy as np

from datamodules.errors import DataError
from datamodules.video.decoding import decode_frames
from datamodules.video.frame_sampling import segment_center

SHARE = 16  # clips that a process takes at a time


class Finding(NamedTuple):
    """What a look at a file showed: its number of frames (None if its header does not say), or what is wrong."""

    num_frames: int | None = None
    kind: str | None = None
    detail: str = ""


Examine = Callable[[str], Finding]


def read_header(path: str) -> Finding:
    """Opens a video and reads its header, without decoding."""
    try:
        with av.open(path) as container:
            stream = container.streams.best("video")
            if stream is None:
                return Finding(kind="undecodable", detail="holds no video stream")
            return Finding(stream.frames or None)
    except (av.FFmpegError, OSError) as error:
        return Finding(kind="undecodable", detail=error.strerror or type(error).__name__)


def decode_clip(path: str, num_frames: int, decoder: str) -> Finding:
    """Decodes the frames of an evaluation view, and the first and last frame of the video.

    Args:
        path: The video file.
        num_frames: Number T of frames of a view.
        decoder: A name in `datamodules.video.decoding.DECODERS`.
    """
    counts = []

    def choose(num_available: int) -> np.ndarray:
        counts.append(num_available)
        return np.array([0, *segment_center(num_available, num_frames), num_available - 1])

    try:
        decode_frames(path, choose, decoder)
    except DataError as error:
        reason = getattr(error.__cause__, "strerror", None)  # shorter than the sentence, which names the file
        return Finding(kind="undecodable", detail=reason or str(error).removeprefix(f"{path} "))
    return Finding(counts[-1])


def build_examination(level: str, num_frames: int, decoder: str) -> Examine | None:
    """Returns how the file of a clip is examined at a level; None where it need not be opened.

    Args:
        level: A name in `LEVELS`.
        num_frames: Number T of frames of a view.
        decoder: What decodes.
    """
    return LEVELS[level](num_frames, decoder)


# From quick to thorough.
LEVELS: dict[str, Callable[[int, str], Examine | None]] = {
    "presence": lambda num_frames, decoder: None,
    "header": lambda num_frames, decoder: read_header,
    "decode": lambda num_frames, decoder: partial(decode_clip, num_frames=num_frames, decoder=decoder),
}


def examine_clips(paths: Sequence[str], examine: Examine, num_workers: int) -> Iterator[tuple[str, Finding]]:
    """Examines files in processes, in the order in which they are done.

    Args:
        paths: The files.
        examine: What is done to each.
        num_workers: Number of processes.

    Yields:
        A path and what was found there.
    """
    shares = [paths[start : start + SHARE] for start in range(0, len(paths), SHARE)]
    while shares:
        left = yield from _examine_shares(shares, examine, min(num_workers, len(shares)))
        # A process has crashed. Shares are begun in order, so the clip that did it is most likely in these.
        yield from _examine_one_by_one([path for share in left[:num_workers] for path in share], examine)
        shares = left[num_workers:]


def _examine_shares(
    shares: Sequence[Sequence[str]], examine: Examine, num_workers: int
) -> Generator[tuple[str, Finding], None, list[Sequence[str]]]:
    """Yields what is found; returns the shares that are left over because a process crashed."""
    left: list[Sequence[str]] = []
    pool = _start_processes(num_workers)
    try:
        futures = {pool.submit(_examine_share, share, examine): number for number, share in enumerate(shares)}
        done = set()
        for future in as_completed(futures):
            try:
                yield from future.result()
            except BrokenProcessPool:
                continue
            done.add(futures[future])
        left = [share for number, share in enumerate(shares) if number not in done]
    finally:
        pool.shutdown(cancel_futures=True)
    return left


def _examine_one_by_one(paths: Sequence[str], examine: Examine) -> Iterator[tuple[str, Finding]]:
    for path in paths:
        pool = _start_processes(1)
        try:
            yield from pool.submit(_examine_share, [path], examine).result()
        except BrokenProcessPool:
            yield path, Finding(kind="undecodable", detail="crashes the decoder")
        finally:
            pool.shutdown()


def _examine_share(paths: Sequence[str], examine: Examine) -> list[tuple[str, Finding]]:
    return [(path, _examine_safely(path, examine)) for path in paths]


def _examine_safely(path: str, examine: Examine) -> Finding:
    try:
        return examine(path)
    except Exception as error:  # whatever it is, training would meet it as well
        return Finding(kind="undecodable", detail=f"{type(error).__name__}: {error}")


def _start_processes(number: int) -> Executor:
    # Not forked, which a library that has threads does not survive. An interruption is the parent's to deal with.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(number, context, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
