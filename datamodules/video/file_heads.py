"""Finds files that cannot be videos, without decoding any: a quick look at the head of each."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from datamodules.errors import DataError
from datamodules.splits.split import VideoRecord

HEAD_BYTES = 512
NUM_THREADS = 16  # they wait for the disk, not for the processor
SHARE = 256  # files that a thread takes at a time


def check_heads(records: Sequence[VideoRecord]) -> None:
    """Checks that every clip can be opened, is not empty and is no text.

    Raises:
        DataError: Some are; their number, the first five and what is wrong with the first are told.
    """
    paths = [record.path for record in records]
    shares = [paths[start : start + SHARE] for start in range(0, len(paths), SHARE)]
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        problems = [problem for found in pool.map(_problems, shares) for problem in found]
    bad = [(record.video_id, problem) for record, problem in zip(records, problems, strict=True) if problem]
    if bad:
        names = ", ".join(name for name, _ in bad[:5])
        raise DataError(
            f"{len(bad)} of the {len(records)} clips are no videos, the first of them ({bad[0][1]}): {names}; "
            "replace them, or leave them out by --data.on_bad_video skip."
        )


def _problems(paths: list[str]) -> list[str | None]:
    return [_problem(path) for path in paths]


def _problem(path: str) -> str | None:
    try:
        with open(path, "rb", buffering=0) as file:  # half the time of a buffered file
            head = file.read(HEAD_BYTES)
    except OSError as error:
        return error.strerror or type(error).__name__
    if not head:
        return "an empty file"
    # Every video container has zero bytes among its first numbers; text has none.
    return None if b"\0" in head else "a text file"
