"""Class names from text or a file."""

from __future__ import annotations

import json
from pathlib import Path

from datamodules.errors import DataError
from datamodules.splits.class_names import LABEL_READERS, read_class_names

TEXT_SUFFIX = ".txt"


def read_labels(text: str) -> list[str]:
    """Read class names.

    Args:
        text: Names separated by commas, or a file: `.txt` with a name per line, `.csv` with the header `id,name`, or
            `.json` as a list or as `{"0": "name", ...}`.

    Raises:
        DataError: The file cannot be read, or there are fewer than two names, or one of them twice.
    """
    suffix = Path(text).suffix.lower()
    if suffix == ".json" and (listed := _read_list(Path(text))) is not None:
        names = listed
    elif suffix in LABEL_READERS:
        names = read_class_names(Path(text))
    elif suffix == TEXT_SUFFIX:
        names = _read_lines(Path(text))
    else:
        names = text.split(",")
    return check_labels([" ".join(name.split()) for name in names if name.strip()])


def check_labels(names: list[str]) -> list[str]:
    """Return the names if a video can be one of them.

    Raises:
        DataError: There are fewer than two names, or one of them twice.
    """
    if len(names) < 2:
        given = f"the only one is {names[0]!r}" if names else "there is none"
        raise DataError(f"Give two labels or more to choose from; {given}.")
    if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise DataError(f"The label {repeated[0]!r} is given {names.count(repeated[0])} times; give it once.")
    return names


def _read_list(file: Path) -> list[str] | None:
    """Return the strings of a JSON list; None for any other file, about which `read_class_names` complains."""
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return None
    return [str(name) for name in content] if isinstance(content, list) else None


def _read_lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Cannot read the labels {file} ({error}); give a text file with a name per line.") from error
