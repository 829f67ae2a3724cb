"""Published list and label files, in the layout in which they are handed round: `labels/...`, `datasets_splits/...`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import DataError


@dataclass(frozen=True)
class PublishedFiles:
    """Where the files of a data set lie under `splits_dir`.

    Attributes:
        labels: The label file.
        train: The whole training split; `{split}` stands for the number of the split.
        few_shot: A K-shot training list; `{num_shots}` stands for K.
        test: The evaluation split.
    """

    labels: str
    train: str
    few_shot: str
    test: str


def published_file(splits_dir: Path, template: str, what: str, **values: int) -> Path:
    """Finds a published file.

    Args:
        splits_dir: Directory of the published files.
        template: Path below it, with `{name}` for each of the values.
        what: What the file is, for the message.
        values: What to put for the names.

    Raises:
        DataError: It is not there; the message names those that are.
    """
    file = splits_dir / template.format(**values)
    if file.is_file():
        return file
    if not splits_dir.is_dir():
        raise DataError(f"The directory of published lists {splits_dir} does not exist; correct --data.splits_dir.")
    similar = sorted(splits_dir.glob(re.sub(r"\{\w+\}", "*", template)), key=_numbers)
    there = (
        f"take one that is there ({', '.join(path.name for path in similar)})" if similar else "complete that directory"
    )
    raise DataError(
        f"There is no {what} {file}; {there}, or leave out --data.splits_dir: "
        "splits are then read, and shots drawn, from the data set's own annotations."
    )


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]
