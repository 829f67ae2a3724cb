"""Remembers good files, so that a repeated or interrupted check does not read them again."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import NamedTuple, TextIO


class Version(NamedTuple):
    """Identifies the content of a clip, without reading it.

    Attributes:
        size: In bytes.
        modified: Time of the last change of a file, in nanoseconds; of a clip in a shard, its checksum.
    """

    size: int
    modified: int


def default_cache_file() -> Path:
    """Return the cache file in the user's cache directory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tcclip" / "check.jsonl"


class CheckCache:
    """Good files and their numbers of frames.

    Bad files are not remembered: another decoder may read them, although they have not changed.

    Every entry is appended at once as a line of JSON, `[inspection, path, size, modified, frames]`, so that an
    interrupted check loses nothing.

    Args:
        file: The cache file; created with its directory when the first file is added.
        inspection: What is done to the files. Entries of other inspections are ignored: a readable header says nothing
            about decoding.
        implied_by: How the names of the inspections begin that include this one; None if there are none.
    """

    def __init__(self, file: Path, inspection: str, implied_by: str | None = None) -> None:
        self.file, self.inspection, self.implied_by = file, inspection, implied_by
        self._known: dict[str, tuple[Version, int | None]] = {}
        self._stream: TextIO | None = None
        self._is_writable = True
        if file.is_file():
            self._read()

    def find(self, path: str, version: Version) -> tuple[int | None] | None:
        """Return the number of frames of a good file, in a tuple since it may be unknown; None if not cached."""
        known = self._known.get(path)
        return (known[1],) if known is not None and known[0] == version else None

    def add(self, path: str, version: Version, num_frames: int | None) -> None:
        """Remember a good file; where the cache cannot be written, warn once."""
        try:
            if self._is_writable:
                self._append(json.dumps([self.inspection, path, *version, num_frames]) + "\n")
        except OSError as error:
            self._is_writable = False
            message = (
                f"The cache {self.file} cannot be written ({error.strerror}): the next check reads all files again."
            )
            warnings.warn(message, stacklevel=2)

    def _append(self, line: str) -> None:
        if self._stream is None:  # kept open: for 240 thousand files, opening it each time would take longer than they
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.file.open("a", encoding="utf-8", buffering=1)
        self._stream.write(line)

    def _read(self) -> None:
        with self.file.open(encoding="utf-8") as stream:
            for line in stream:
                try:
                    inspection, path, size, modified, num_frames = json.loads(line)
                except ValueError:
                    continue  # the last line of a check that was killed while writing it
                is_implied = self.implied_by is not None and inspection.startswith(self.implied_by)
                if inspection == self.inspection or is_implied:  # of entries for the same path, the last one counts
                    self._known[path] = Version(size, modified), num_frames
