"""Finds clips and annotation files under a dataset's root, in any layout, with one scan of the directory tree."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

from datamodules.errors import DataError
from datamodules.shards.stores import is_url
from datamodules.splits.sharded_root import ShardedRoot, open_sharded
from datamodules.splits.split import Entry, Split, VideoRecord
from datamodules.splits.video_names import name_in_copy

Root = Path | str
"""A directory of videos, or the URL of shards."""


class RootIndex:
    """Every file under a root, by path and by base name; as text, the root.

    Args:
        root: The root of the dataset.
        files: Paths of its files relative to the root, with forward slashes.
        shards: Where these files are, if the root has shards.

    Attributes:
        root: The root; of a URL, a local folder of the same name.
    """

    def __init__(self, root: Root, files: Iterable[str], shards: ShardedRoot | None = None) -> None:
        self.root = Path(root) if shards is None else shards.folder
        self.files = frozenset(files)
        self._name, self._shards = str(root), shards
        # Sorted, so that messages name the same files on every machine.
        self._by_base_name: dict[str, list[str]] = {}
        for file in sorted(self.files):
            self._by_base_name.setdefault(file.rpartition("/")[2], []).append(file)

    def __str__(self) -> str:
        return self._name

    def path_of(self, file: str) -> str:
        """Return where a clip among `files` can be read: its path, or its range of a shard."""
        return f"{self.root}/{file}" if self._shards is None else self._shards.path_of(file)

    def annotation(self, file: str) -> Path:
        """Return the path of an annotation file among `files`; of a URL, that of a copy, fetched now.

        Raises:
            DataError: It cannot be fetched.
        """
        return self.root / file if self._shards is None else self._shards.fetch(file)

    def folders(self, below: str = "") -> list[str]:
        """Return the names of the folders directly under the root, or under a folder of it, sorted.

        Read from disk, which also shows empty ones; shards have none of these.
        """
        if self._shards is not None:
            prefix = below and f"{below}/"
            inside = [file.removeprefix(prefix) for file in self.files if file.startswith(prefix)]
            return sorted({file.partition("/")[0] for file in inside if "/" in file})
        with os.scandir(self.root / below) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))

    def find(self, name: str) -> str | None:
        """Look up a clip: as a path under the root, then by base name, then both ways as `tcclip transcode` names it.

        Args:
            name: The clip as a list file names it: `class/clip.avi` or `clip.avi`, or with the root before it.

        Returns:
            Its path relative to the root, or None if there is no such file.

        Raises:
            DataError: The name is not a path under the root, and several files have its base name.
        """
        found = self._find(name)
        return self._find(name_in_copy(name)) if found is None else found

    def _find(self, name: str) -> str | None:
        if (below := name.removeprefix(f"{self._name}/")) in self.files:
            return below
        # Lists often name the class folder of another layout than the one on disk: fall back on the base name.
        candidates = self._by_base_name.get(name.rpartition("/")[2], [])
        if len(candidates) > 1:
            raise DataError(
                f"{name} could be {candidates[0]} or {candidates[1]} under {self}; "
                "give the clip's folder in the list, or remove one of the two files."
            )
        return candidates[0] if candidates else None

    def matching(self, pattern: str) -> list[str]:
        """Return the files whose base name matches a shell pattern, sorted by base name."""
        return [
            file for name in sorted(self._by_base_name) if fnmatch(name, pattern) for file in self._by_base_name[name]
        ]

    def only(self, pattern: str, advice: str) -> Path:
        """Return the single file whose base name matches a shell pattern.

        Args:
            pattern: The pattern.
            advice: What the user should do if there is none.

        Raises:
            DataError: No file matches, or more than one.
        """
        found = self.matching(pattern)
        if not found:
            raise DataError(f"There is no {pattern} under {self}; {advice}.")
        if len(found) > 1:
            raise DataError(f"Both {found[0]} and {found[1]} under {self} match {pattern}; remove one of the two.")
        return self.annotation(found[0])


def parse_root(root: str) -> Root:
    """Return the root that a user has named: a path, or a URL as it is."""
    return root.rstrip("/") if is_url(root) else Path(root).expanduser()


def scan_root(root: Root, refresh: bool = False) -> RootIndex:
    """Index the files under `root`, following links, or in its shards; once per process unless `refresh` is set.

    Raises:
        DataError: The root is missing, not a directory, or empty; or its shards are incomplete.
    """
    if refresh:  # rare, and other roots are quickly scanned again
        _scan.cache_clear()
    return _scan(root, os.getcwd())


def find_records(split: Split, root: Root, skip_missing: bool = False) -> tuple[list[VideoRecord], list[str]]:
    """Find the clips of a split on disk.

    Args:
        split: The split.
        root: Directory of the videos.
        skip_missing: Whether to leave missing clips out with a warning instead of raising an error.

    Returns:
        The clips on disk, and the names of the missing ones.

    Raises:
        DataError: Clips are missing (the message gives their number and the first five), or a name is ambiguous.
    """
    index = scan_root(root)
    found = _look_up(split, index)
    if any(path is None for _, path in found):
        index = scan_root(root, refresh=True)
        found = _look_up(split, index)  # clips may have been added since the last scan
    missing = [entry.name for entry, path in found if path is None]
    if missing:
        problem = (
            f"{len(missing)} of the {len(found)} clips in {split.files[0].name} are not under {root}: "
            f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}"
        )
        # All of them missing means a wrong root, which no skipping can mend.
        if not skip_missing or len(missing) == len(found):
            advice = "check --data.root, complete the dataset, or skip them with --data.on_bad_video skip"
            raise DataError(f"{problem}; {advice}.")
        warnings.warn(f"{problem}; they are skipped.", stacklevel=2)
    return [VideoRecord(index.path_of(path), path, entry.label) for entry, path in found if path is not None], missing


def _look_up(split: Split, index: RootIndex) -> list[tuple[Entry, str | None]]:
    return [(entry, index.find(entry.name)) for entry in split.entries]


@lru_cache(maxsize=16)
def _scan(root: Root, working_directory: str) -> RootIndex:  # in another one, a relative root is another root
    if (shards := open_sharded(str(root))) is not None:
        return RootIndex(root, shards.files, shards)
    root = Path(root)
    if not root.is_dir():
        problem = "is not a directory" if root.exists() else "does not exist"
        raise DataError(f"The data root {root} {problem}; set --data.root to the directory of the videos.")
    files, visited, again = [], set(), []
    for folder, subdirectories, names in os.walk(root, followlinks=True):
        subdirectories.sort()  # the same walk on every file system
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        # A link to a parent directory would make the walk endless.
        real = os.path.realpath(folder)
        if real in visited:
            subdirectories.clear()
            again.append(relative)
            continue
        visited.add(real)
        prefix = "" if relative == "." else f"{relative}/"
        # Hidden files are not clips: macOS leaves a `._clip.avi` next to each clip on some disks.
        files += [prefix + name for name in names if not name.startswith(".")]
    if again:
        more = f" (and {len(again) - 1} more)" if len(again) > 1 else ""
        said = f"{again[0]} under {root} leads to a folder that is read already{more}"
        warnings.warn(f"{said}; its files are left out.", stacklevel=3)
    if not files:
        raise DataError(f"The data root {root} is empty; set --data.root to the directory of the videos.")
    return RootIndex(root, files)
