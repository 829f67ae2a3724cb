"""The videos that paths and folders name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from datamodules.errors import DataError
from datamodules.splits.video_names import VIDEO_SUFFIXES, is_video


def find_videos(paths: Iterable[str | Path]) -> list[str]:
    """Return the videos of some files and folders, each once, in the order given; those of a folder sorted by name.

    A file that is named is taken whatever its suffix; of a folder and all folders below it, those with a usual one.

    Raises:
        DataError: A path does not exist, or a folder has no video.
    """
    found: dict[str, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            found.update(dict.fromkeys(_videos_below(path)))
        elif path.exists():
            found[str(path)] = None
        else:
            raise DataError(f"There is no video or folder {path}; check the path.")
    return list(found)


def _videos_below(folder: Path) -> list[str]:
    videos = [os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names if is_video(name)]
    if not videos:
        raise DataError(f"{folder} has no videos ({', '.join(VIDEO_SUFFIXES)}); name a folder that has some.")
    return sorted(videos)
