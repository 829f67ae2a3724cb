"""Finds the clips of a split on disk."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from datamodules.errors import DataError
from datamodules.splits.lookup import RootIndex, scan_root
from datamodules.splits.split import Entry, Split, VideoRecord
from datamodules.splits.validation import check_folders
from datamodules.video.file_heads import check_heads


def find_records(split: Split, root: Path, skip_missing: bool = False) -> list[VideoRecord]:
    """Finds the clips of a split on disk.

    Args:
        split: The split.
        root: Directory of the videos.
        skip_missing: Whether clips that are not there are left out, with a warning, rather than refused.

    Raises:
        DataError: Some are not there (their number and the first five are named), or a name is ambiguous.
    """
    found = _look_up(split, scan_root(root))
    if any(path is None for _, path in found):
        found = _look_up(split, scan_root(root, refresh=True))  # clips may have been added since
    missing = [entry.name for entry, path in found if path is None]
    if missing:
        problem = (
            f"{len(missing)} of the {len(found)} clips in {split.files[0].name} are not under {root}, the first of "
            f"them: {', '.join(missing[:5])}"
        )
        if not skip_missing or len(missing) == len(found):
            advice = "check --data.root, complete the dataset, or leave them out by --data.on_bad_video skip"
            raise DataError(f"{problem}; {advice}.")
        warnings.warn(f"{problem}; they are left out.", stacklevel=2)
    return [VideoRecord(f"{root}/{path}", path, entry.label) for entry, path in found if path is not None]


def _look_up(split: Split, index: RootIndex) -> list[tuple[Entry, str | None]]:
    return [(entry, index.find(entry.name)) for entry in split.entries]


def find_checked_records(split: Split, root: Path, class_names: Sequence[str], skip_bad: bool) -> list[VideoRecord]:
    """Finds the clips of a split, and checks what can be checked without decoding.

    Args:
        split: The split.
        root: Directory of the videos.
        class_names: Y names as the dataset has them.
        skip_bad: Whether missing clips are left out here, and broken ones when they are read.

    Raises:
        DataError: Clips are missing, are no videos, or lie in the folder of another class.
    """
    records = find_records(split, root, skip_missing=skip_bad)
    check_folders(records, class_names, split.files[0])
    if not skip_bad:
        check_heads(records)
    return records
