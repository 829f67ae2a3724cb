"""Validates splits against class names and class folders, before any video is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from datamodules.errors import DataError
from datamodules.splits.class_names import label_of, normalize
from datamodules.splits.split import Split, VideoRecord


def check_labels(split: Split, class_names: Sequence[str]) -> None:
    """Check that every label belongs to a class.

    Raises:
        DataError: A label is Y, the number of class names, or more.
    """
    for entry in split.entries:
        if entry.label >= len(class_names):
            raise DataError(
                f"{split.files[0]} gives {entry.name} the label {entry.label}, but there are only {len(class_names)} "
                f"classes (0 to {len(class_names) - 1}); use the label file that belongs to the list."
            )


def check_class_count(split: Split, class_names: Sequence[str]) -> None:
    """Check that there is something to tell apart.

    Raises:
        DataError: There is a single class.
    """
    if len(class_names) < 2:
        name = f", {class_names[0]!r}," if class_names else ""
        raise DataError(f"Only one class{name} is in {split.files[0]}; at least 2 are needed.")


def check_every_class_trains(split: Split, class_names: Sequence[str], num_shots: int | None = None) -> None:
    """Check that every class has training clips, and exactly K of them in a K-shot list.

    Raises:
        DataError: A class has none, or a number other than `num_shots`.
    """
    counts = Counter(entry.label for entry in split.entries)
    without = [name for label, name in enumerate(class_names) if not counts[label]]
    if without:
        names = f"{', '.join(map(repr, without[:5]))}{', ...' if len(without) > 5 else ''}"
        raise DataError(
            f"{len(without)} of the {len(class_names)} classes have no training clip in {split.files[0]}: {names}; "
            "use the label file that belongs to the list, or complete the list."
        )
    # Not only too few: a list with more shots would quietly give better results.
    for label, name in enumerate(class_names):
        if num_shots is not None and counts[label] != num_shots:
            raise DataError(
                f"Class {name!r} has {counts[label]} clips in {split.files[0]}, not the {num_shots} shots asked for; "
                f"set --data.num_shots to {counts[label]}, or correct the list."
            )


def check_classes_in_use(split: Split, class_names: Sequence[str]) -> None:
    """Check that an evaluation list of some classes is not read with the label file of more classes.

    A test list need not have clips of every class. But a list whose labels are exactly 0 to n - 1, read with more than
    n class names, is a base or novel list read with the labels of all classes: every label would mean another class.

    Raises:
        DataError: The list is such a list, or empty.
    """
    used = {entry.label for entry in split.entries}
    if not used:
        raise DataError(f"{split.files[0]} has no clip to evaluate on; complete it.")
    # A single class 0 says nothing: such a small list is usually just a test.
    if 1 < len(used) == max(used) + 1 < len(class_names):
        raise DataError(
            f"{split.files[0]} has clips of the classes 0 to {max(used)}, but there are {len(class_names)} class "
            "names; use the label file that belongs to the list, or add clips of the other classes."
        )


def check_order(names: Sequence[str], class_names: Sequence[str], file: Path) -> None:
    """Check that a label file lists the classes in label order.

    Rephrased names cannot be compared; only names that the dataset has too, in any spelling, must be in their place.

    Raises:
        DataError: The lengths differ, or a name is in the place of another class.
    """
    if len(names) != len(class_names):
        raise DataError(
            f"The label file {file} names {len(names)} classes, but the dataset has {len(class_names)}; "
            "give one name per class."
        )
    order = [normalize(name) for name in class_names]  # `Brush_Hair` and `brush hair` are the same class
    for label, name in enumerate(map(normalize, names)):
        if order[label] != name and name in order:
            raise DataError(
                f"The label file {file} is in another order than the labels: class {label} is {names[label]!r} there, "
                f"but {class_names[label]!r} in the dataset; reorder the file."
            )


def check_folders(records: Sequence[VideoRecord], class_names: Sequence[str], file: Path) -> None:
    """Check that clips are in the folders of their classes, if folders are named after classes.

    A few clips may be elsewhere (relabeled clips keep their folder); if most are, the label file is in the wrong order.

    Raises:
        DataError: Most clips are in the folder of another class.
    """
    misplaced, num_in_folders = find_misplaced(records, class_names)
    # Half, because a label file in the wrong order misplaces nearly all clips, and relabeling only a few.
    if 2 * len(misplaced) > num_in_folders:
        first = misplaced[0]
        raise DataError(
            f"{file} gives {first.video_id} the label {first.label}, which is {class_names[first.label]!r}, and "
            f"{len(misplaced)} of {num_in_folders} clips a class other than their folder's; reorder the label file."
        )


def find_misplaced(records: Sequence[VideoRecord], class_names: Sequence[str]) -> tuple[list[VideoRecord], int]:
    """Find clips in the folder of another class.

    Returns:
        These clips, and the number of all clips that are in a folder named after a class.
    """
    labels = label_of(class_names)
    label_of_folder: dict[str, int | None] = {}  # a folder is normalized once, not once per clip
    misplaced, num_in_folders = [], 0
    for record in records:
        folder = record.video_id.rpartition("/")[0].rpartition("/")[2]
        if folder not in label_of_folder:
            label_of_folder[folder] = labels.get(normalize(folder)) if folder else None
        label = label_of_folder[folder]
        num_in_folders += label is not None
        if label not in (None, record.label):
            misplaced.append(record)
    return misplaced, num_in_folders
