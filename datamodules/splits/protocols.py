"""The settings of the protocols, and the parts of each with their published files.

To add a protocol:

1. add its name to `Setting` below, and a word on it to `setting` in the docstring of `VideoDataModule` (`base.py`),
   which is the help text of `--data.setting`;
2. add its parts with their files to `other_settings` of every dataset that has it (`datasets/ssv2.py` has three). Where
   several datasets name the files alike, a function here builds the parts;
3. add a configuration to `configs`.

The setting trains on its first part and tests on all. Its clips are those of its published lists; only `standard` and
`base_to_novel` also do without lists. `build_sources.py` turns a setting into splits, and needs no change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from datamodules.splits.published import PublishedFiles

Setting = Literal["standard", "base_to_novel", "zero_shot", "temporal", "static"]
STANDARD, BASE_TO_NOVEL = "standard", "base_to_novel"
HALVES = ("base", "novel")  # the parts of base_to_novel
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
