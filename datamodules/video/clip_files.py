"""Opens a clip by its path: a file of its own, or a range of a tar file."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

from datamodules.shards.byte_range import parse_range
from datamodules.shards.stores import is_url


def open_clip(path: Path | str) -> str | BytesIO:
    """Return what a decoder opens: the path of a file, or the bytes of a range.

    Raises:
        DataError: The bytes cannot be read, or are not those that were written.
    """
    part = parse_range(str(path))
    return str(path) if part is None else BytesIO(part.read())


def is_in_shard(path: Path | str) -> bool:
    """Return whether a clip is a range of a tar file. It was then decoded when it was written, and has a checksum."""
    return parse_range(str(path)) is not None


def absolute_path(path: str) -> str:
    """Return the path of a clip from any directory."""
    return path if is_url(path) else os.path.abspath(path)


def clip_version(path: str) -> tuple[int, int]:
    """Return two numbers that change when a clip does, without reading it: its size, and its time or its checksum.

    Raises:
        OSError: There is no such file.
        DataError: There is no such shard, or it ends before the clip does.
    """
    part = parse_range(path)
    if part is None:
        status = os.stat(path)
        return status.st_size, status.st_mtime_ns
    part.check_reach()
    return part.size, part.crc
