"""Holds lists against class names and against the files under the root, without opening any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.check.problems import Problem
from datamodules.errors import DataError
from datamodules.options import check_settings
from datamodules.splits.class_names import label_of, normalize
from datamodules.splits.lookup import scan_root
from datamodules.splits.protocols import build_test_finders, find_training_split
from datamodules.splits.source import SplitFinder
from datamodules.splits.split import Entry, Split, VideoRecord, read_lines, split_last_blank
from datamodules.splits.validation import check_folders
from datamodules.suite import EvaluationSuite

if TYPE_CHECKING:
    from datamodules.base import VideoDataModule


@dataclass
class CheckedList:
    """A list and what is wrong with it.

    Attributes:
        name: Its name in the report.
        root: Directory of its videos.
        is_training: Whether it is trained on.
        split: What could be read of it.
        class_names: Y names as the dataset has them; a label is a position among them. Empty if they were not found.
        records: The clips that have a file.
        problems: What was found.
    """

    name: str
    root: Path
    is_training: bool = False
    split: Split = field(default_factory=lambda: Split([], ()))
    class_names: list[str] = field(default_factory=list)
    records: list[VideoRecord] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def clips_per_class(self) -> list[int]:
        """Returns the number of clips of each of the Y classes."""
        counts = Counter(entry.label for entry in self.split.entries)
        return [counts[label] for label in range(len(self.class_names))]

    def read_list(self, file: Path) -> Split:
        """Reads a list file as `read_list_file` does, but goes on after a line that is malformed or there twice."""
        entries: dict[str, Entry] = {}
        for number, line in read_lines(file):
            try:
                entry = Entry(*split_last_blank(line, file, number))
            except DataError as error:
                place = f"{file}, line {number}"
                self.problems.append(Problem("line", place, str(error).removeprefix(f"{place}: ")))
                continue
            if entry.name in entries:
                self.problems.append(Problem("repeated", entry.name, f"again in line {number} of {file.name}"))
            entries.setdefault(entry.name, entry)
        self.split = Split(list(entries.values()), (file,))
        return self.split

    def check_labels(self, split: Split, class_names: Sequence[str]) -> None:
        """Notes every label that is the number of no class."""
        self.split, self.class_names = split, list(class_names)
        largest = len(class_names) - 1
        for name, label in split.entries:
            if label > largest:
                self.problems.append(Problem("label", name, f"label {label}, but classes are 0 to {largest}"))


def data_sets(data: VideoDataModule | EvaluationSuite) -> list[VideoDataModule]:
    """Returns the datasets behind a data module: itself, or, of a suite, those it trains and tests on."""
    if not isinstance(data, EvaluationSuite):
        return [data]
    return [*([data.train] if data.train is not None else []), *data.tests.values()]


def read_lists(data: VideoDataModule | EvaluationSuite) -> list[CheckedList]:
    """Reads every list of a data module and finds its clips on disk.

    Args:
        data: The data module, not set up. It is changed so that it goes on after a fault: train with another one.

    Raises:
        DataError: The settings are wrong, or there is nothing under the root. Of a suite, this is noted instead.
    """
    lists, members = [], data_sets(data)
    tested_only = list(data.tests.values()) if isinstance(data, EvaluationSuite) else []
    for member in members:
        try:
            lists += _read_data_set(member, is_trained=member not in tested_only)
        except DataError as error:
            if len(members) == 1:
                raise
            lists.append(CheckedList(member.name, member.root, problems=[Problem("list", str(error))]))
    return lists


def _read_data_set(data: VideoDataModule, is_trained: bool) -> list[CheckedList]:
    check_settings(data)
    lists = []
    if is_trained and _trains(data):
        lists.append(_read("train", data.split_finder, partial(find_training_split, data), is_training=True))
    return lists + [_read(name, finder, finder.test_split) for name, finder in build_test_finders(data).items()]


def _trains(data: VideoDataModule) -> bool:
    """Tells whether a data module can be trained on, rather than tested on alone."""
    return data.split_finder.published.train is not None and data.test_splits in (None, [data.split])


def _read(name: str, finder: SplitFinder, read: Callable[[], Split], is_training: bool = False) -> CheckedList:
    checked = CheckedList(name, finder.root, is_training)
    finder.read_list, finder.check_labels = checked.read_list, checked.check_labels
    try:
        checked.split = read()
        finder.class_names  # noqa: B018 (reads the user's label file)
    except DataError as error:
        checked.problems.append(Problem("list", str(error)))
    _find_clips(checked)
    _check_classes(checked)
    return checked


def _find_clips(checked: CheckedList) -> None:
    """Looks every clip up, and notes those that are missing, ambiguous or the same file as another one."""
    index = scan_root(checked.root)
    found: dict[str, str] = {}
    for entry in checked.split.entries:
        try:
            path = index.find(entry.name)
        except DataError as error:
            checked.problems.append(Problem("ambiguous", entry.name, str(error).removeprefix(f"{entry.name} ")))
            continue
        if path is None:
            checked.problems.append(Problem("missing", entry.name))
        elif path in found:
            checked.problems.append(Problem("repeated", entry.name, f"the same file as {found[path]}"))
        else:
            found[path] = entry.name
            checked.records.append(VideoRecord(f"{checked.root}/{path}", path, entry.label))


def _check_classes(checked: CheckedList) -> None:
    """Notes classes without clips, and clips that lie in the folder of another class."""
    names, empty = checked.class_names, "no clips" if checked.is_training else "untested"
    if checked.split.entries:
        counts = zip(names, checked.clips_per_class(), strict=True)
        checked.problems += [Problem(empty, name) for name, count in counts if count == 0]
    known = [record for record in checked.records if record.label < len(names)]
    try:
        check_folders(known, names, checked.split.files[0] if checked.split.files else checked.root)
    except DataError as error:
        checked.problems.append(Problem("list", str(error)))
    labels = label_of(names)
    label_of_folder = cache(lambda folder: labels.get(normalize(folder)))
    for record in known:
        if label_of_folder(record.video_id.rpartition("/")[0].rpartition("/")[2]) not in (None, record.label):
            checked.problems.append(Problem("folder", record.video_id, f"labeled {names[record.label]!r}"))


def note_leaks(lists: Sequence[CheckedList]) -> None:
    """Notes test clips that are also trained on."""
    trained = {record.path for checked in lists if checked.is_training for record in checked.records}
    for checked in lists:
        if not checked.is_training:
            leaked = [record.video_id for record in checked.records if record.path in trained]
            checked.problems += [Problem("leaked", clip) for clip in leaked]
