"""The manifest of a copy while it is written: a line for every file as soon as it is done."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datamodules.errors import DataError
from datamodules.shards.manifest import CopiedFile, Manifest, parse_manifest

LOCK = ".transcode.lock"


class Journal:
    """What a copy has so far; `open_journal` makes it.

    Args:
        file: The manifest.
        facts: How the copy is made.
        files: Name -> file, of those that an earlier command has written.
    """

    def __init__(self, file: Path, facts: Mapping[str, Any], files: Mapping[str, CopiedFile]) -> None:
        self.file, self.facts, self.files = file, facts, dict(files)

    def restart(self, kept: Mapping[str, CopiedFile]) -> None:
        """Forget all files but some; the copy is incomplete from now on."""
        self.files = dict(kept)
        self._replace(is_complete=False)

    def add(self, copied: CopiedFile) -> None:
        """Note a file that is at its place."""
        self.files[copied.name] = copied
        # Opened for each line: that takes microseconds, and writing a video a second.
        with self.file.open("a", encoding="ascii") as stream:
            stream.write(copied.line())

    def finish(self) -> None:
        """Note that the copy is complete."""
        self._replace(is_complete=True)

    def _replace(self, is_complete: bool) -> None:
        new = self.file.with_name(f".{self.file.name}.new")
        new.write_text(Manifest(self.facts, is_complete, self.files).text(), encoding="ascii")
        os.replace(new, self.file)


@contextmanager
def open_journal(folder: Path, name: str, facts: Mapping[str, Any]) -> Iterator[Journal]:
    """Open the manifest in a folder, or begin one in a new or empty folder, and lock it for the block.

    Args:
        folder: The folder of the copy.
        name: Name of the manifest.
        facts: How the copy is to be made.

    Raises:
        DataError: The folder has something else, or a copy made in another way, or another process writes it.
        OSError: It cannot be written.
    """
    file = folder / name
    if not file.is_file() and folder.exists():
        others = [] if not folder.is_dir() else [entry for entry in os.listdir(folder) if not entry.startswith(".")]
        if others or not folder.is_dir():
            what = f"has {others[0]}, but no {name} of such a copy" if others else "is a file"
            raise DataError(f"{folder} {what}: name a new or an empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(f"Another process is writing {folder}; wait until it has finished.") from error
        found = parse_manifest(file.read_text("ascii", "replace"), str(file)) if file.is_file() else Manifest(facts)
        for key, value in facts.items():
            if found.facts.get(key) != value:
                raise DataError(
                    f"{folder} is a copy with {key} {found.facts.get(key)}, not {value}: name another folder, or "
                    "repeat the command that began it."
                )
        yield Journal(file, facts, found.files)
