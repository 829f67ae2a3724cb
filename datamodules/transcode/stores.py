"""Where the files of a copy go: what a store does, and the one that is a tree like the dataset's."""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Protocol

from datamodules.shards.manifest import TREE_MANIFEST, CopiedFile


class Store(Protocol):
    """Holds the files of a copy."""

    manifest: str

    def begin(self, files: Mapping[str, CopiedFile], gone: Set[str], changed: Set[str]) -> dict[str, CopiedFile]:
        """Remove what is gone or has changed, and return the files that need not be written again.

        Args:
            files: Name -> file, as an earlier command has left them.
            gone: Names whose source is no longer there.
            changed: Names whose source has changed.
        """

    def put(self, copied: CopiedFile, path: Path) -> CopiedFile:
        """Move a finished file to its place at once, and return where that is."""

    def close(self) -> None:
        """End the copy."""


class TreeStore:
    """Files of their own, in the folders of the dataset."""

    manifest = TREE_MANIFEST

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, files: Mapping[str, CopiedFile], gone: Set[str], changed: Set[str]) -> dict[str, CopiedFile]:
        """See `Store`."""
        for name in gone | changed:
            path = self.folder / name
            path.unlink(missing_ok=True)
            if path.parent != self.folder and path.parent.is_dir() and not os.listdir(path.parent):
                path.parent.rmdir()  # an empty class folder would look like a class without clips
        rest = {name: file for name, file in files.items() if name not in gone and name not in changed}
        return {name: file for name, file in rest.items() if size_of(self.folder / name) == file.size}

    def put(self, copied: CopiedFile, path: Path) -> CopiedFile:
        """See `Store`."""
        target = self.folder / copied.name
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
        return copied

    def close(self) -> None:
        """See `Store`."""


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, or -1 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
