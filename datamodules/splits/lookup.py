"""Finds the files of a dataset under its root, whatever its layout, by one scan."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

from datamodules.errors import DataError


class RootIndex:
    """Every file under a root, by path and by base name.

    Args:
        root: The root of the dataset.
        files: Paths of its files relative to the root, with forward slashes.
    """

    def __init__(self, root: Path, files: Iterable[str]) -> None:
        self.root = root
        self.files = frozenset(files)
        self._by_base_name: dict[str, list[str]] = {}
        for file in sorted(self.files):
            self._by_base_name.setdefault(file.rpartition("/")[2], []).append(file)

    def find(self, name: str) -> str | None:
        """Looks a clip up, first as a path under the root, then by base name.

        Args:
            name: As a list file has it: `class/clip.avi`, or `clip.avi`.

        Returns:
            Its path relative to the root, or None if there is no such file.

        Raises:
            DataError: The name is no path under the root and its base name is there more than once.
        """
        if name in self.files:
            return name
        candidates = self._by_base_name.get(name.rpartition("/")[2], [])
        if len(candidates) > 1:
            raise DataError(
                f"{name} could be {candidates[0]} or {candidates[1]} under {self.root}; "
                "name the clip with its directory in the list, or remove one of the two."
            )
        return candidates[0] if candidates else None

    def matching(self, pattern: str) -> list[str]:
        """Returns the files whose base name matches a shell pattern, sorted by base name."""
        return [
            file for name in sorted(self._by_base_name) if fnmatch(name, pattern) for file in self._by_base_name[name]
        ]

    def only(self, pattern: str, advice: str) -> Path:
        """Returns the one file whose base name matches a shell pattern.

        Args:
            pattern: The pattern.
            advice: What the user should do if there is none.

        Raises:
            DataError: There is none, or more than one.
        """
        found = self.matching(pattern)
        if not found:
            raise DataError(f"There is no {pattern} under {self.root}; {advice}.")
        if len(found) > 1:
            raise DataError(f"Both {found[0]} and {found[1]} under {self.root} could be meant; remove one of the two.")
        return self.root / found[0]


def scan_root(root: Path, refresh: bool = False) -> RootIndex:
    """Indexes the files under `root`, following links; scanned once a process unless `refresh` is set.

    Raises:
        DataError: The root is missing, is no directory, or holds no file.
    """
    if refresh:
        _scan.cache_clear()
    return _scan(root)


@lru_cache(maxsize=16)
def _scan(root: Path) -> RootIndex:
    if not root.is_dir():
        problem = "is not a directory" if root.exists() else "does not exist"
        raise DataError(f"The data root {root} {problem}; set --data.root to the directory that holds the videos.")
    files, visited = [], set()
    for directory, subdirectories, names in os.walk(root, followlinks=True):
        # A link to a directory above would make the walk endless.
        real = os.path.realpath(directory)
        if real in visited:
            subdirectories.clear()
            continue
        visited.add(real)
        relative = os.path.relpath(directory, root).replace(os.sep, "/")
        prefix = "" if relative == "." else f"{relative}/"
        files += [prefix + name for name in names if not name.startswith(".")]
    if not files:
        raise DataError(f"The data root {root} is empty; set --data.root to the directory that holds the videos.")
    return RootIndex(root, files)
