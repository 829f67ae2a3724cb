"""Where the published list and label files of a dataset are: the layout `labels/...`, `datasets_splits/...`."""

from __future__ import annotations

import re
from collections.abc import Mapping
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


# Part of a protocol (`split{split}`, `base`, ...) -> its files. Training uses the first part.
Parts = Mapping[str, PublishedFiles]


def base_to_novel_files(folder: str, labels: str) -> Parts:
    """Return the files of a dataset's base and novel classes.

    Args:
        folder: Directory of its lists.
        labels: Prefix of its label files.
    """
    lists = f"datasets_splits/base2novel_splits/{folder}"
    base = PublishedFiles(
        labels=f"labels/{labels}_base_labels.csv",
        train=f"{lists}/base_train.txt",
        few_shot=f"{lists}/fs_base_s{{split}}_train.txt",
        test=f"{lists}/base_val.txt",
    )
    novel_labels = f"labels/{labels}_novel_labels.csv"
    return {"base": base, "novel": PublishedFiles(novel_labels, None, None, f"{lists}/novel_val.txt")}


def subset_files(folder: str, labels: str, evaluation: str, subset: str, num_classes: int) -> Parts:
    """Return the files of a dataset's temporal or static subset (TC-CLIP, Appendix D).

    Args:
        folder: Directory of its lists.
        labels: Prefix of its label files.
        evaluation: Prefix of its evaluation lists.
        subset: `temporal` or `static`.
        num_classes: Number of classes in the subset.
    """
    lists, part = f"datasets_splits/temporal_static_splits/{folder}", f"{subset}{num_classes}"
    label_file = f"labels/labels_temporal_static/{labels}_{part}_labels.csv"
    return {subset: PublishedFiles(label_file, f"{lists}/train_{part}.txt", None, f"{lists}/{evaluation}_{part}.txt")}


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
