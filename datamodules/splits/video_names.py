"""Which names are those of videos, and what a copy of `tcclip transcode` calls them."""

from __future__ import annotations

import os

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts")
COPY_SUFFIX = ".mp4"


def is_video(name: str) -> bool:
    """Return whether a file ends like a video."""
    return name.lower().endswith(VIDEO_SUFFIXES)


def name_in_copy(name: str) -> str:
    """Return the name of a video's copy: its own, with the ending of the container that copies are in.

    Example:
        >>> name_in_copy("swim/a.avi"), name_in_copy("swim/b.MP4"), name_in_copy("list.txt")
        ('swim/a.mp4', 'swim/b.MP4', 'list.txt')
    """
    stem, suffix = os.path.splitext(name)
    return stem + COPY_SUFFIX if is_video(name) and suffix.lower() != COPY_SUFFIX else name
