"""UCF-101: 101 actions in about 13 thousand clips, three splits (Soomro et al., CRCV-TR-12-01)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from datamodules.base import VideoDataModule
from datamodules.errors import DataError
from datamodules.splits.class_names import split_camel_case
from datamodules.splits.list_files import check_unique, read_lines, read_numbered_lines
from datamodules.splits.lookup import RootIndex
from datamodules.splits.protocols import Parts, base_to_novel_files
from datamodules.splits.published import PublishedFiles
from datamodules.splits.split import Annotations

ADVICE = "put UCF-101's split files there, or give a copy of the published lists with --data.splits_dir"


class UCF101DataModule(VideoDataModule):
    """UCF-101 as published: `<Class>/v_*.avi` or all clips in one directory, and its split files.

    Without `splits_dir`, `classInd.txt`, `trainlist0<n>.txt` and `testlist0<n>.txt` may be anywhere under the root.
    """

    name = "ucf101"
    to_words = staticmethod(split_camel_case)
    published = PublishedFiles(
        labels="labels/ucf_101_labels.csv",
        train="datasets_splits/ucf_splits/train{split}.txt",
        few_shot="datasets_splits/ucf_splits/train{split}_few_shot_{num_shots}.txt",
        test="datasets_splits/ucf_splits/val{split}.txt",
    )
    other_settings: ClassVar[Mapping[str, Parts]] = {"base_to_novel": base_to_novel_files("ucf_splits", "ucf_101")}

    def read_annotations(self, index: RootIndex, split: int) -> Annotations:
        """Read the split files; training lists have labels from 1, test lists have none."""
        names = ("classInd.txt", f"trainlist{split:02d}.txt", f"testlist{split:02d}.txt")
        class_file, train_file, test_file = (index.only(name, ADVICE) for name in names)
        classes = _read_classes(class_file)
        train, test = _read_train(train_file, classes), _read_test(test_file, classes)
        # Across both lists: a clip in both would be trained and tested on.
        check_unique((clip for clip, _ in [*train, *test]), test_file)
        return Annotations({"train": train, "test": test}, (class_file, train_file, test_file), tuple(classes))


def _read_classes(file: Path) -> list[str]:
    """Read lines `1 ApplyEyeMakeup`; the position must match the number."""
    classes = []
    for number, line in read_lines(file, "number Class"):
        # The numbers are checked, not used: a missing line would shift all later labels.
        label, _, name = line.partition(" ")
        if label != str(len(classes) + 1) or not name.strip():
            raise DataError(
                f"{file}, line {number}: {line!r} is not the number {len(classes) + 1}, a space and a class name; "
                "correct the file."
            )
        classes.append(name.strip())
    check_unique(classes, file)
    return classes


def _read_train(file: Path, classes: list[str]) -> list[tuple[str, str]]:
    """Read lines `Class/clip.avi 1`; folder and number must agree."""
    clips = []
    for clip, label in read_numbered_lines(file):
        name = clip.partition("/")[0]
        if not 1 <= label <= len(classes) or classes[label - 1] != name:
            raise DataError(
                f"{file} gives {clip} the label {label}, which is not {name!r} in classInd.txt; use two files of the "
                "same release."
            )
        clips.append((clip, name))
    check_unique((clip for clip, _ in clips), file)
    return clips


def _read_test(file: Path, classes: list[str]) -> list[tuple[str, str]]:
    """Read lines `Class/clip.avi`; the folder is the only label."""
    clips, known = [], set(classes)
    for number, clip in read_lines(file, "Class/clip.avi"):
        name = clip.partition("/")[0]
        if name not in known or name == clip:  # equal: there is no slash
            raise DataError(
                f"{file}, line {number}: {clip!r} is not a class of classInd.txt, a slash and a clip; correct the line."
            )
        clips.append((clip, name))
    check_unique((clip for clip, _ in clips), file)
    return clips
