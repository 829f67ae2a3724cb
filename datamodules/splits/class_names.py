"""Class names as words, in label order: the position in the list is the label."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from datamodules.errors import DataError


def split_underscores(name: str) -> str:
    """Turn `brush_hair` into `brush hair`.

    Example:
        >>> split_underscores("brush_hair")
        'brush hair'
    """
    return " ".join(name.replace("_", " ").split())


def split_camel_case(name: str) -> str:
    """Turn UCF-101's `ApplyEyeMakeup` into `Apply Eye Makeup`. Only for datasets that spell their classes so.

    Example:
        >>> split_camel_case("YoYo"), split_camel_case("TaiChi")
        ('Yo Yo', 'Tai Chi')
    """
    return split_underscores(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name))


def strip_brackets(name: str) -> str:
    """Turn SSv2's `Holding [something]` into `Holding something`.

    Example:
        >>> strip_brackets("Pushing [something] so that it [almost] falls")
        'Pushing something so that it almost falls'
    """
    return split_underscores(re.sub(r"[\[\]]", "", name))


def read_class_names(file: Path, to_words: Callable[[str], str] = split_underscores) -> list[str]:
    """Read a label file: a CSV with the header `id,name`, or a JSON `{"0": "text", ...}`.

    Args:
        file: The label file, `.csv` or `.json`.
        to_words: Cleans up each name.

    Returns:
        Y names; the position is the id.

    Raises:
        DataError: The file cannot be read, its ids are not 0, 1, 2, ... once each, or a name is missing or repeated.
    """
    reader = LABEL_READERS.get(file.suffix.lower())
    if reader is None:
        raise DataError(f"The label file {file} is neither a .csv nor a .json; use one of these.")
    try:
        rows = reader(file)
    except (OSError, UnicodeDecodeError, KeyError, AttributeError, ValueError) as error:
        form = 'a header `id,name` and one row per class, or a JSON {"0": "text", ...}'
        raise DataError(f"Cannot read the label file {file} ({error}); it needs {form}.") from error
    # A gap would shift every later name to another label.
    if not rows or sorted(rows) != list(range(len(rows))):
        raise DataError(f"The ids in the label file {file} are not 0, 1, 2, ... without gaps; correct them.")
    names = [to_words(rows[label]) for label in range(len(rows))]
    _check_names(names, file)
    return names


def label_of(names: Sequence[str]) -> dict[str, int]:
    """Map each normalized name to its label."""
    return {normalize(name): label for label, name in enumerate(names)}


def normalize(name: str) -> str:
    """Reduce a class name to its letters and digits, so that `Brush_Hair`, `brush hair` and `BrushHair` are equal."""
    return re.sub(r"[\W_]+", "", name).lower()


def _read_csv(file: Path) -> dict[int, str]:
    with file.open(newline="", encoding="utf-8-sig") as stream:  # Excel writes a byte order mark before `id`
        return _unique((int(row["id"]), row["name"] or "") for row in csv.DictReader(stream))


def _read_json(file: Path) -> dict[int, str]:
    # Read as pairs: a dict would silently keep the last of two equal ids.
    content = json.loads(file.read_text(encoding="utf-8-sig"), object_pairs_hook=list)
    if not isinstance(content, list) or not all(isinstance(row, tuple) for row in content):
        raise ValueError("it is not a JSON object")
    return _unique((int(label), str(name)) for label, name in content)


def _unique(rows: Iterable[tuple[int, str]]) -> dict[int, str]:
    names: dict[int, str] = {}
    for label, name in rows:
        if label in names:
            raise ValueError(f"the id {label} is repeated")
        names[label] = name
    return names


LABEL_READERS: dict[str, Callable[[Path], dict[int, str]]] = {".csv": _read_csv, ".json": _read_json}


def _check_names(names: Sequence[str], file: Path) -> None:
    seen: dict[str, int] = {}
    for label, name in enumerate(names):
        if not name:
            raise DataError(f"Class {label} has no name in the label file {file}; give it one.")
        if name in seen:
            raise DataError(f"Classes {seen[name]} and {label} in {file} are both named {name!r}; rename one of them.")
        seen[name] = label
