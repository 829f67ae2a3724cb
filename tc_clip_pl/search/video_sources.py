"""The videos that folders, lists and URLs name, with a mark of each file that changes when the file does."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from datamodules.errors import DataError
from datamodules.shards.stores import is_url, open_store
from datamodules.splits.video_names import VIDEO_SUFFIXES, is_video
from tc_clip_pl.inference.video_files import find_videos

LIST_SUFFIX = ".txt"
GONE = "gone"
"""The mark of a file of a list that is not there."""
CHANGE_KEYS = ("ETag", "mtime", "LastModified", "last_modified", "updated", "modified", "created")


def list_videos(sources: Iterable[str | Path]) -> dict[str, str]:
    """Return the videos of folders, files, lists and URLs, each once, with their marks.

    Args:
        sources: Folders with all folders below them, video files, `.txt` files with a path or URL per line, and URLs of
            files and folders that fsspec opens, such as ``s3://BUCKET/FOLDER``. Local paths become absolute.

    Raises:
        DataError: A path or URL does not exist or cannot be listed, or a folder has no video.
    """
    found: dict[str, str] = {}
    for source in map(str, sources):
        if is_url(source):
            found.update(_list_url(source))
        elif source.endswith(LIST_SUFFIX) and Path(source).is_file():
            for entry in _read_list(Path(source)):
                found.update(_list_url(entry) if is_url(entry) else {os.path.abspath(entry): _mark(entry)})
        else:
            found.update({os.path.abspath(video): _mark(video) for video in find_videos([source])})
    return found


def is_below(video: str, sources: Iterable[str | Path]) -> bool:
    """Return whether a video lies in one of the folders or URLs, however deep."""
    roots = [source if is_url(source) else os.path.abspath(source) for source in map(str, sources)]
    return any(video.startswith(root.rstrip("/") + "/") for root in roots)


@contextmanager
def local_copy(video: str) -> Iterator[str]:
    """Give the path of a video: its own, or that of a copy of a URL that lasts as long as the block.

    Raises:
        DataError: The URL cannot be read.
    """
    if not is_url(video):
        yield video
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "video" + os.path.splitext(video)[1])
        filesystem, path = open_store(video)
        try:
            filesystem.get_file(path, copy)
        except Exception as error:  # every kind of store has its own
            raise DataError(f"{video} cannot be read ({error}); check the URL and the access to it.") from error
        yield copy


def _mark(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return GONE
    return f"{found.st_size} {found.st_mtime_ns}"


def _list_url(url: str) -> dict[str, str]:
    filesystem, path = open_store(url)
    try:
        if filesystem.isdir(path):
            files = filesystem.find(path, detail=True)
            files = {name: info for name, info in files.items() if is_video(name)}
        else:
            files = {path: filesystem.info(path)}
    except Exception as error:  # every kind of store has its own
        raise DataError(f"{url} cannot be listed ({error}); check the URL and the access to it.") from error
    if not files:
        raise DataError(f"{url} has no videos ({', '.join(VIDEO_SUFFIXES)}); name a folder that has some.")
    return {filesystem.unstrip_protocol(name): _remote_mark(info) for name, info in sorted(files.items())}


def _remote_mark(info: dict) -> str:
    changed = next((info[key] for key in CHANGE_KEYS if info.get(key) is not None), "")
    return f"{info.get('size')} {changed}"


def _read_list(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read the list {file} ({error}); give a text file with a video per line.") from error
    return [line.strip() for line in lines if line.strip()]
