"""Published list and label files, in the layout in which they are handed round: `labels/...`, `datasets_splits/...`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datamodules.errors import DataError


@dataclass(frozen=True)
class PublishedFiles:
    """Where the files of a dataset lie under `splits_dir`.

    Attributes:
        labels: The label file; `{split}` stands for the number of the split, here and below.
        train: The whole training split; None where these classes are only tested.
        few_shot: A K-shot training list, where there are such; `{num_shots}` stands for K.
        test: The evaluation split.
    """

    labels: str
    train: str | None
    few_shot: str | None
    test: str


# Name of a test set (`split{split}`, `base`, ...) -> its files. Training takes those of the first.
Parts = Mapping[str, PublishedFiles]


def base_to_novel_files(folder: str, labels: str) -> Parts:
    """Returns the files of the base and the novel half of a dataset.

    Args:
        folder: Directory of its lists.
        labels: How the names of its label files begin.
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
    """Returns the files of the temporal or static subset of a dataset (Appendix D).

    Args:
        folder: Directory of its lists.
        labels: How the names of its label files begin.
        evaluation: How the names of its evaluation lists begin.
        subset: `temporal` or `static`.
        num_classes: Number of classes in the subset.
    """
    lists, part = f"datasets_splits/temporal_static_splits/{folder}", f"{subset}{num_classes}"
    label_file = f"labels/labels_temporal_static/{labels}_{part}_labels.csv"
    return {subset: PublishedFiles(label_file, f"{lists}/train_{part}.txt", None, f"{lists}/{evaluation}_{part}.txt")}


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
        "splits are then read, and shots drawn, from the dataset's own annotations."
    )


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]
