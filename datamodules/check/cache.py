"""Remembers which files were found good, so that a repeated or interrupted check does not read them again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple


class Version(NamedTuple):
    """What tells one content of a file from another: its size in bytes and its time of change in nanoseconds."""

    size: int
    changed: int


def default_cache_file() -> Path:
    """Returns the cache in the user's cache directory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tcclip" / "check.jsonl"


class CheckCache:
    """The good files and their numbers of frames; a file that was found bad is looked at again each time.

    Every finding is written at once as a line of JSON: `[examination, path, size, changed, frames]`.

    Args:
        file: Where they are written; made with its directory at the first finding.
        examination: What was done to the files; what another examination found does not count.
    """

    def __init__(self, file: Path, examination: str) -> None:
        self.file, self.examination = file, examination
        self._known: dict[str, tuple[Version, int | None]] = {}
        if file.is_file():
            self._read()

    def find(self, path: str, version: Version) -> tuple[int | None] | None:
        """Looks a file up; returns its number of frames (None if not known) in a tuple, or None if it is not there."""
        known = self._known.get(path)
        return (known[1],) if known is not None and known[0] == version else None

    def add(self, path: str, version: Version, num_frames: int | None) -> None:
        """Remembers a good file."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([self.examination, path, *version, num_frames]) + "\n")

    def _read(self) -> None:
        with self.file.open(encoding="utf-8") as stream:
            for line in stream:
                try:
                    examination, path, size, changed, num_frames = json.loads(line)
                except ValueError:
                    continue  # cut off where a check was stopped
                if examination == self.examination:
                    self._known[path] = Version(size, changed), num_frames
