"""Describes a dataset, and which of its splits a user asks for: all that this package knows about a data module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datamodules.splits.class_names import split_underscores
from datamodules.splits.lookup import Root, RootIndex
from datamodules.splits.protocols import Parts, Setting
from datamodules.splits.published import PublishedFiles
from datamodules.splits.split import Annotations

ReadAnnotations = Callable[[RootIndex, int], Annotations]


@dataclass(frozen=True)
class DatasetSpec:
    """The static description of a dataset.

    Attributes:
        name: Name in logs and reports.
        published: Published files of all classes, for the setting `standard`.
        read_annotations: Reads the dataset's own annotations, given the files under the root and the split number.
        other_settings: Published files of the other settings.
        test_part: Name of the part that `standard` tests; `{split}` stands for the split number.
        to_words: Turns a class name as the dataset spells it into words.
    """

    name: str
    published: PublishedFiles
    read_annotations: ReadAnnotations
    other_settings: Mapping[str, Parts] = field(default_factory=dict)
    test_part: str = "split{split}"
    to_words: Callable[[str], str] = split_underscores


@dataclass(frozen=True, kw_only=True)
class SplitRequest:
    """The splits that a user asks for.

    Attributes:
        dataset: The dataset.
        root: Directory of its videos, or directory or URL of its shards.
        splits_dir: A copy of the published files, or None to use the dataset's own annotations.
        setting: Which classes and lists; a key of the dataset's settings.
        label_file: A file with other class names, or None; may contain `{part}` and `{split}`.
        num_shots: Training clips per class; None for all.
        split: Number of the split; in `base_to_novel`, of the training list.
        test_splits: Numbers of the splits to test; None for `split`.
        pseudo_labels: A list, or answers of `tcclip recognize`, to train on in place of the dataset's list, or None.
        seed: Seed of the draws.
        is_test_only: Whether nothing is trained on this dataset.
    """

    dataset: DatasetSpec
    root: Root
    splits_dir: Path | None = None
    setting: Setting = "standard"
    label_file: Path | None = None
    num_shots: int | None = None
    split: int
    test_splits: tuple[int, ...] | None = None
    pseudo_labels: Path | None = None
    seed: int
    is_test_only: bool = False
