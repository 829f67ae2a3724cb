"""Which clips belong to a split, and with which label: list files, K-shot draws, records."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from datamodules.errors import DataError
from datamodules.splits.class_names import label_of, normalize


class Entry(NamedTuple):
    """One line of a split: the clip's name as it is written there, and its class id."""

    name: str
    label: int


class VideoRecord(NamedTuple):
    """One clip on disk: `video_id` is its path relative to the data root."""

    path: str
    video_id: str
    label: int


@dataclass(frozen=True)
class TestSet:
    """What one test loader reads: its name in reports, and the classes its labels count in."""

    __test__ = False  # not a test case of pytest

    name: str
    class_names: list[str]


@dataclass(frozen=True)
class Split:
    """Clips with labels, and the files that say so (or the directory whose layout says so)."""

    entries: list[Entry]
    files: tuple[Path, ...]

    def summary(self) -> dict[str, object]:
        """Returns what a report must say of a split: its files, their SHA-256 and the number of clips."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(repr(self.entries).encode() if file.is_dir() else file.read_bytes())
        return {
            "files": [file.name for file in self.files],
            "sha256": digest.hexdigest(),
            "num_clips": len(self.entries),
        }


@dataclass(frozen=True)
class Annotations:
    """A dataset's own annotations.

    Attributes:
        clips: Clips with the names of their classes, `{"train": [(clip, class)], "test": []}`.
        files: The files that say so.
        class_order: All class names in label order, where the dataset numbers them.
    """

    clips: dict[str, list[tuple[str, str]]]
    files: tuple[Path, ...]
    class_order: tuple[str, ...] = ()

    def classes(self) -> list[str]:
        """Returns the names of all classes as annotated, in label order or else in alphabetical order."""
        return list(self.class_order) or sorted({name for part in self.clips.values() for _, name in part})

    def only(self, class_names: Collection[str]) -> Annotations:
        """Returns the annotations of some classes, told by name in any spelling."""
        kept = {normalize(name) for name in class_names}
        order = tuple(name for name in self.classes() if normalize(name) in kept)
        clips = {part: [(c, name) for c, name in found if name in order] for part, found in self.clips.items()}
        return Annotations(clips, self.files, order)

    def split(self, part: str, class_names: Sequence[str]) -> Split:
        """Turns a part into a split, with the positions in `class_names` as labels.

        Raises:
            DataError: An annotated class is not among `class_names`.
        """
        known = label_of(class_names)
        if len(known) < len(class_names):
            twins = [name for name in class_names if class_names[known[normalize(name)]] != name]
            raise DataError(f"The class {twins[0]!r} differs from another one in nothing but spelling; rename it.")
        labels = {name: known.get(normalize(name)) for name in self.classes()}
        unknown = [name for name, label in labels.items() if label is None]
        if unknown:
            raise DataError(
                f"The annotations beside {self.files[0]} have a class {unknown[0]!r}, which the label file lacks; "
                "give the label file of this dataset."
            )
        return Split([Entry(clip, labels[name]) for clip, name in self.clips[part]], self.files)


def split_last_blank(line: str, file: Path, number: int) -> tuple[str, int]:
    """Splits `some clip.avi 3` at its last blank.

    Raises:
        DataError: There is no blank, or no whole number from 0 behind it.
    """
    name, value = [*line.rsplit(maxsplit=1), "", ""][:2]
    if not (value.isascii() and value.isdigit()):
        raise DataError(
            f"{file}, line {number}: {line.strip()!r} is not a clip's path, a blank and a whole number from 0; "
            "correct the line."
        )
    return name.strip(), int(value)


def read_lines(file: Path, form: str = "path label") -> list[tuple[int, str]]:
    """Reads the numbered lines of a text file, passing over empty ones.

    Args:
        file: The file.
        form: How a line should look, for the message.

    Raises:
        DataError: The file is missing, empty or no text.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The list {file} cannot be read ({error}); check the path and the file.") from error
    rows = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise DataError(f"The list {file} is empty; it needs one line `{form}` for each clip.")
    return rows


def read_numbered_lines(file: Path) -> list[tuple[str, int]]:
    """Reads a text file of lines `name number`, passing over empty lines.

    Raises:
        DataError: The file is missing, empty or no text, or a line is malformed (file, line number and text are named).
    """
    return [split_last_blank(line, file, number) for number, line in read_lines(file)]


def read_list_file(file: Path) -> Split:
    """Reads a published list: one clip a line, `path label`, labels from 0, paths may contain blanks.

    Raises:
        DataError: As `read_numbered_lines`, or a clip is listed twice.
    """
    entries = [Entry(name, label) for name, label in read_numbered_lines(file)]
    check_unique((entry.name for entry in entries), file)
    return Split(entries, (file,))


def check_unique(names: Iterable[str], file: Path) -> None:
    """Checks that no clip is listed twice.

    Raises:
        DataError: One is.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{file} lists {name} twice; remove one of the lines.")
        seen.add(name)


def draw_shots(split: Split, num_shots: int, seed: int, class_names: Sequence[str]) -> Split:
    """Draws `num_shots` clips of each class.

    The clips of a class are ordered by a hash of seed and base name, and the first ones taken. So the draw is the same
    on any machine and for any layout of the directory, and the 2-shot draw lies inside the 4-shot draw.

    Args:
        split: The training split to draw from.
        num_shots: Number K of clips for each class, at least 1.
        seed: Another seed gives another draw.
        class_names: Y names; the draw has K x Y entries, class by class.

    Raises:
        DataError: A class has fewer than K clips.
    """

    def rank(entry: Entry) -> bytes:
        return hashlib.sha256(f"{seed}/{PurePosixPath(entry.name).name}".encode()).digest()

    of_class: dict[int, list[Entry]] = {label: [] for label in range(len(class_names))}
    for entry in split.entries:
        of_class[entry.label].append(entry)
    for label, entries in of_class.items():
        if len(entries) < num_shots:
            raise DataError(
                f"Class {class_names[label]!r} has {len(entries)} training clips, fewer than the {num_shots} shots "
                f"asked for; set --data.num_shots to {min(map(len, of_class.values()))} or less."
            )
    drawn = [entry for entries in of_class.values() for entry in sorted(entries, key=rank)[:num_shots]]
    return Split(drawn, split.files)


def check_labels(split: Split, class_names: Sequence[str]) -> None:
    """Checks that every label is the number of a class.

    Raises:
        DataError: A label is Y, the number of class names, or more.
    """
    for entry in split.entries:
        if entry.label >= len(class_names):
            raise DataError(
                f"{split.files[0]} gives {entry.name} the label {entry.label}, but there are only {len(class_names)} "
                f"classes (0 to {len(class_names) - 1}); the list and the label file do not belong together."
            )
