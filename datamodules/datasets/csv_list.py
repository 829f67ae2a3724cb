"""Anyone's own videos, named in list files beside a label file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from datamodules.base import VideoDataModule
from datamodules.errors import DataError
from datamodules.splits.class_names import read_class_names
from datamodules.splits.holdout import share_out
from datamodules.splits.lookup import RootIndex
from datamodules.splits.published import Parts, PublishedFiles, base_to_novel_files
from datamodules.splits.split import Annotations, Entry, Split, check_labels, check_unique, read_list_file

COLUMNS = ("path", "label")


class CSVDataModule(VideoDataModule):
    """Videos named in list files, with any number of classes named in a label file.

    A list is a `.csv` with the columns `path,label`, or a text file of lines `path label`; labels count from 0. A path
    is looked up under the root, then by base name.

    Args:
        root: Directory of the videos.
        labels: The label file: `.csv` with the header `id,name`, or `.json`.
        train_list: List of the training clips; None if nothing is trained.
        test_list: List of the test clips. None sets a share of each class in `train_list` aside; `split` is then the
            number of that draw, and any number will do.
        test_share: Share of each class that is set aside.
        **settings: Those of `VideoDataModule`.
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

    def read_annotations(self, index: RootIndex, split: int) -> Annotations:
        """Reads the list files, and names the classes by the label file."""
        if not self.lists:
            raise DataError("There is no list of clips; give --data.train_list, --data.test_list or both.")
        names = read_class_names(self.labels, self.to_words)
        clips = {part: _name_classes(read_any_list(file), names) for part, file in self.lists.items()}
        files = tuple(self.lists.values())
        if "test" not in clips:
            clips["train"], clips["test"] = share_out(clips["train"], self.test_share, split, files[0])
        clips.setdefault("train", [])
        check_unique((clip for part in clips.values() for clip, _ in part), files[-1])
        return Annotations(clips, (*files, self.labels), tuple(names))


def read_any_list(file: Path) -> Split:
    """Reads a list of clips, in the form that its ending tells.

    Raises:
        DataError: It is missing or empty, a line is malformed, or a clip is there twice.
    """
    return LIST_READERS.get(file.suffix.lower(), read_list_file)(file)


def read_csv_list(file: Path) -> Split:
    """Reads a list with the columns `path,label`.

    Raises:
        DataError: It is missing or empty, a line is malformed, or a clip is there twice.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = [(number, row) for number, row in enumerate(csv.reader(stream), start=1) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The list {file} cannot be read ({error}); check the path and the file.") from error
    if not rows or tuple(cell.strip() for cell in rows[0][1]) != COLUMNS or len(rows) == 1:
        raise DataError(f"The list {file} needs a first line `path,label` and a line for each clip; add them.")
    entries = [_read_row(row, file, number) for number, row in rows[1:]]
    check_unique((entry.name for entry in entries), file)
    return Split(entries, (file,))


LIST_READERS: dict[str, Callable[[Path], Split]] = {".csv": read_csv_list}


def _read_row(row: list[str], file: Path, number: int) -> Entry:
    path, label = (cell.strip() for cell in [*row, "", ""][:2])
    if len(row) != len(COLUMNS) or not path or not (label.isascii() and label.isdigit()):
        raise DataError(
            f"{file}, line {number}: {','.join(row)!r} is not a clip's path, a comma and a whole number from 0; "
            "correct the line."
        )
    return Entry(path, int(label))


def _name_classes(split: Split, names: list[str]) -> list[tuple[str, str]]:
    check_labels(split, names)
    return [(entry.name, names[entry.label]) for entry in split.entries]
