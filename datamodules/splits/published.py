"""Where the published list and label files of a dataset are: the layout `labels/...`, `datasets_splits/...`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import DataError


@dataclass(frozen=True)
class PublishedFiles:
    """Paths of a dataset's files under `splits_dir`. `{split}` stands for the split number.

    Attributes:
        labels: The label file.
        train: The whole training split; None if these classes are only tested on.
        few_shot: The K-shot training lists; `{num_shots}` stands for K. None draws shots from the training split.
        test: The evaluation split.
    """

    labels: str
    train: str | None
    few_shot: str | None
    test: str


def find_published(splits_dir: Path, template: str, what: str, **values: int) -> Path:
    """Find a published file.

    Args:
        splits_dir: Directory of the published files.
        template: Path below it, with `{name}` for each of the values.
        what: What the file is, for the error message.
        values: What the names stand for.

    Raises:
        DataError: It does not exist; the message lists similar files that do.
    """
    file = splits_dir / template.format(**values)
    if file.is_file():
        return file
    if not splits_dir.is_dir():
        raise DataError(f"The directory of published lists {splits_dir} does not exist; correct --data.splits_dir.")
    similar = sorted(splits_dir.glob(re.sub(r"\{\w+\}", "*", template)), key=_numbers)
    names = ", ".join(path.name for path in similar)
    advice = f"use one that exists ({names})" if similar else "complete that directory"
    raise DataError(
        f"There is no {what} {file}; {advice}, or, if --data.splits_dir was given, "
        "leave it out to read splits, and draw shots, from the dataset's own annotations."
    )


def _numbers(path: Path) -> list[int]:
    """Return the numbers in a file name, so that 16 sorts after 2."""
    return [int(number) for number in re.findall(r"\d+", path.name)]
