"""Validates list files against class names and the files under the root, without opening any video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from datamodules.check.problems import Problem
from datamodules.errors import DataError
from datamodules.splits.build_sources import ProtocolSources, build_sources, find_training_split
from datamodules.splits.list_files import read_lines, split_last_space
from datamodules.splits.lookup import Root, scan_root
from datamodules.splits.request import SplitRequest
from datamodules.splits.source import ListReader, SplitSource
from datamodules.splits.split import Entry, EvaluationSet, Split, VideoRecord
from datamodules.splits.validation import check_folders, find_misplaced


@dataclass
class CheckedList:
    """A list and its problems.

    Attributes:
        name: Its name in the report.
        root: Directory of its videos, or directory or URL of its shards.
        is_training: Whether it is trained on.
        split: Its readable entries.
        class_names: Y names as the dataset has them; the position is the label. Empty if they could not be read.
        records: The clips that exist on disk.
        problems: The problems found.
    """

    name: str
    root: Root
    is_training: bool = False
    split: Split = field(default_factory=lambda: Split([], ()))
    class_names: list[str] = field(default_factory=list)
    records: list[VideoRecord] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def clips_per_class(self) -> list[int]:
        """Return the number of clips of each of the Y classes."""
        counts = Counter(entry.label for entry in self.split.entries)
        return [counts[label] for label in range(len(self.class_names))]

    def read_list(self, file: Path) -> Split:
        """Read a list file like `read_list_file`, but note malformed and repeated lines and go on."""
        entries: dict[str, Entry] = {}
        for number, line in read_lines(file):
            try:
                entry = Entry(*split_last_space(line, file, number))
            except DataError as error:
                place = f"{file}, line {number}"
                self.problems.append(Problem("line", place, str(error).removeprefix(f"{place}: ")))
                continue
            if entry.name in entries:
                self.problems.append(Problem("repeated", entry.name, f"again in line {number} of {file.name}"))
            # The first of two lines counts, so that a repeated clip is one problem and not several.
            entries.setdefault(entry.name, entry)
        # Stored at once: if a later check refuses the list, the report still counts its clips.
        self.split = Split(list(entries.values()), (file,))
        return self.split

    def check_labels(self, split: Split, class_names: Sequence[str]) -> None:
        """Note every label that belongs to no class."""
        self.split, self.class_names = split, list(class_names)
        largest = len(class_names) - 1
        for name, label in split.entries:
            if label > largest:
                self.problems.append(Problem("label", name, f"label {label}, but classes are 0 to {largest}"))


def read_lists(requests: Sequence[SplitRequest]) -> list[CheckedList]:
    """Read every list of some requests, and find its clips on disk.

    Args:
        requests: The `requests` of a data module or a suite.

    Raises:
        DataError: The options are wrong, or the root is missing or empty. With several requests, this is noted as a
            problem instead, so that it does not hide the problems of other datasets.
    """
    lists = []
    for request in requests:
        try:
            lists += _read_dataset(request)
        except DataError as error:
            if len(requests) == 1:
                raise
            lists.append(CheckedList(request.dataset.name, request.root, problems=[Problem("list", str(error))]))
    return lists


def note_leaks(lists: Sequence[CheckedList]) -> None:
    """Note test clips that are also trained on."""
    # By path on disk: two lists may name the same file differently.
    trained = {record.path for checked in lists if checked.is_training for record in checked.records}
    for checked in lists:
        if not checked.is_training:
            leaked = [record.video_id for record in checked.records if record.path in trained]
            checked.problems += [Problem("leaked", clip) for clip in leaked]


def _read_dataset(request: SplitRequest) -> list[CheckedList]:
    sources, lists = build_sources(request), []
    if _can_train(request, sources):
        read = partial(find_training_split, request, sources.train)
        lists.append(_read(CheckedList("train", request.root, is_training=True), sources.train, read))
    for part, source in sources.tests.items():
        # Named as in reports; the class names of the list are read below.
        name = EvaluationSet(request.dataset.name, part, class_names=[]).name
        lists.append(_read(CheckedList(name, request.root), source, source.test_split))
    return lists


def _can_train(request: SplitRequest, sources: ProtocolSources) -> bool:
    """Return whether a request's training clips are used, and not only its test clips."""
    has_list = sources.train.published.train is not None
    return has_list and not request.is_test_only and request.test_splits in (None, (request.split,))


def _read(checked: CheckedList, source: SplitSource, read: Callable[[ListReader], Split]) -> CheckedList:
    """Read a list with a reader that notes mistakes in `checked`, then check its clips and classes."""
    try:
        checked.split = read(ListReader(checked.read_list, checked.check_labels))
        _ = source.class_names  # reads the user's label file
    except DataError as error:
        checked.problems.append(Problem("list", str(error)))
    _find_clips(checked)
    if not checked.split.is_predicted:
        _check_empty_classes(checked)
        _check_folders(checked)
    return checked


def _find_clips(checked: CheckedList) -> None:
    """Look up every clip; note missing and ambiguous ones, and those that share a file."""
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
        elif path in found:  # two names, a path and a base name, of one file
            checked.problems.append(Problem("repeated", entry.name, f"the same file as {found[path]}"))
        else:
            found[path] = entry.name
            checked.records.append(VideoRecord(index.path_of(path), path, entry.label))


def _check_empty_classes(checked: CheckedList) -> None:
    """Note classes without clips: fatal in training, but a test list need not cover all classes."""
    kind = "no clips" if checked.is_training else "untested"
    if checked.split.entries:
        counts = zip(checked.class_names, checked.clips_per_class(), strict=True)
        checked.problems += [Problem(kind, name) for name, count in counts if count == 0]


def _check_folders(checked: CheckedList) -> None:
    """Note each clip in the folder of another class, and whether most clips are."""
    names = checked.class_names
    # Labels without a class are noted already and have no name to compare.
    known = [record for record in checked.records if record.label < len(names)]
    try:
        check_folders(known, names, checked.split.files[0] if checked.split.files else Path(checked.root))
    except DataError as error:
        checked.problems.append(Problem("list", str(error)))
    for record in find_misplaced(known, names)[0]:
        checked.problems.append(Problem("folder", record.video_id, f"labeled {names[record.label]!r}"))
