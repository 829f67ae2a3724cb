"""Bytes of local files and of URLs that fsspec opens."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from datamodules.errors import DataError, describe

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def is_url(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a URL, rather than a local path."""
    return "://" in str(path)


def open_store(url: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of a URL, and the path in it; fsspec keeps one for each process.

    Raises:
        DataError: The protocol is unknown, or its package is not installed.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise DataError(f"{url} cannot be opened ({error}).") from error


def read_bytes(path: str, start: int = 0, size: int | None = None) -> bytes:
    """Read a file, or `size` bytes of it from `start` on; fewer where it ends before.

    Args:
        path: A local path or a URL.
        start: The first byte.
        size: How many; None reads all.

    Raises:
        DataError: It cannot be read.
    """
    if is_url(path):
        return _read_url(path, start, None if size is None else start + size)
    try:
        with open(path, "rb") as file:
            file.seek(start)
            return file.read(-1 if size is None else size)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({describe(error)}); check the path.") from error


def file_size(path: str) -> int:
    """Return the size of a file in bytes. That of a URL is asked for once.

    Raises:
        DataError: It cannot be reached.
    """
    if is_url(path):
        return _url_size(path)
    try:
        return os.path.getsize(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({describe(error)}); check the path.") from error


def _read_url(url: str, start: int, end: int | None) -> bytes:
    store, path = open_store(url)
    try:
        return store.cat_file(path, start or None, end)
    except Exception as error:  # every kind of store has its own
        raise _unreadable(url, error) from error


@cache
def _url_size(url: str) -> int:
    store, path = open_store(url)
    try:
        return int(store.info(path)["size"])
    except Exception as error:  # every kind of store has its own; a server may also give no size
        raise _unreadable(url, error) from error


def _unreadable(url: str, error: Exception) -> DataError:
    what = describe(error) if str(error) and str(error) != url else type(error).__name__
    return DataError(f"{url} cannot be read ({what}); check the URL and the access to it.")
