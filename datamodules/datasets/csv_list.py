"""Your own videos, named in list files with a label file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from datamodules.base import VideoDataModule
from datamodules.errors import DataError
from datamodules.options import check_share
from datamodules.splits.class_names import read_class_names
from datamodules.splits.draw import NamedClip, hold_out
from datamodules.splits.list_files import check_unique, read_list
from datamodules.splits.lookup import RootIndex
from datamodules.splits.protocols import Parts, base_to_novel_files
from datamodules.splits.published import PublishedFiles
from datamodules.splits.split import Annotations, Split
from datamodules.splits.validation import check_labels


class CSVDataModule(VideoDataModule):
    """Videos named in list files, with any number of classes named in a label file.

    A list is a `.csv` with the columns `path,label`, or a text file of lines `path label`; labels count from 0. A path
    is looked up under the root, then by base name.

    Args:
        root: Directory of the videos.
        labels: The label file: a `.csv` with the header `id,name`, or a `.json`.
        train_list: List of the training clips; not needed when only testing.
        test_list: List of the test clips. None holds out a share of each class of `train_list`; every value of `split`
            then gives another draw.
        test_share: Share of each class that is held out.
        **settings: The other arguments of `VideoDataModule`.
    """

    name = "csv"
    published = PublishedFiles(  # as written by `tcclip split`
        labels="labels/csv_labels.csv",
        train="datasets_splits/csv_splits/train{split}.txt",
        few_shot="datasets_splits/csv_splits/train{split}_few_shot_{num_shots}.txt",
        test="datasets_splits/csv_splits/val{split}.txt",
    )
    other_settings: ClassVar[Mapping[str, Parts]] = {"base_to_novel": base_to_novel_files("csv_splits", "csv")}

    def __init__(
        self,
        root: str,
        labels: str,
        train_list: str | None = None,
        test_list: str | None = None,
        test_share: float = 0.2,
        **settings: Any,
    ) -> None:
        super().__init__(root, **settings)
        self.labels, self.test_share = Path(labels).expanduser(), test_share
        self.lists = {
            part: Path(file).expanduser() for part, file in (("train", train_list), ("test", test_list)) if file
        }

    def check_options(self) -> None:
        """Check the values of the options.

        Raises:
            DataError: One has a wrong value.
        """
        super().check_options()
        check_share("test_share", self.test_share)

    def read_annotations(self, index: RootIndex, split: int) -> Annotations:
        """Read the list files, with class names from the label file."""
        if not self.lists:
            raise DataError("There is no list of clips; give --data.train_list, --data.test_list or both.")
        names = read_class_names(self.labels, self.to_words)
        clips = {part: _name_classes(read_list(file), names) for part, file in self.lists.items()}
        files = tuple(self.lists.values())
        if "test" not in clips:
            clips["train"], clips["test"] = hold_out(clips["train"], self.test_share, split, files[0])
        clips.setdefault("train", [])  # a test list alone is enough for testing
        # Across both lists: a clip in both would be trained and tested on.
        check_unique((clip for part in clips.values() for clip, _ in part), files[-1])
        return Annotations(clips, (*files, self.labels), tuple(names))


def _name_classes(split: Split, names: list[str]) -> list[NamedClip]:
    check_labels(split, names)
    return [(entry.name, names[entry.label]) for entry in split.entries]
