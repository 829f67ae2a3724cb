"""Holds labels against class names and clips, before any video is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from datamodules.errors import DataError
from datamodules.splits.class_names import label_of, normalize
from datamodules.splits.split import Split, VideoRecord


def check_every_class_trains(split: Split, class_names: Sequence[str], num_shots: int | None = None) -> None:
    """Checks that every class has training clips, and K of them in a K-shot list.

    Raises:
        DataError: A class has none, or another number than `num_shots`.
    """
    counts = Counter(entry.label for entry in split.entries)
    without = [name for label, name in enumerate(class_names) if not counts[label]]
    if without:
        raise DataError(
            f"{len(without)} of the {len(class_names)} classes have no training clip in {split.files[0]}, the first of "
            f"them: {', '.join(map(repr, without[:5]))}; give the label file that belongs to the list, or complete it."
        )
    for label, name in enumerate(class_names):
        if num_shots is not None and counts[label] != num_shots:
            raise DataError(
                f"Class {name!r} has {counts[label]} clips in {split.files[0]}, not the {num_shots} shots asked for; "
                f"set --data.num_shots to {counts[label]}, or correct the list."
            )


def check_classes_in_use(split: Split, class_names: Sequence[str]) -> None:
    """Checks that an evaluation list does not count in the label file of a part of the classes.

    Clips of some classes may be missing; but where labels are 0 to n - 1 in one piece, and there are more than n names,
    list and label file do not belong together.

    Raises:
        DataError: So it is.
    """
    used = {entry.label for entry in split.entries}
    if not used:
        raise DataError(f"{split.files[0]} has no clip to evaluate on; complete it.")
    if 1 < len(used) == max(used) + 1 < len(class_names):
        raise DataError(
            f"{split.files[0]} has clips of the classes 0 to {max(used)}, but there are {len(class_names)} class "
            "names; give the label file that belongs to the list, or add clips of the other classes."
        )


def check_order(names: Sequence[str], class_names: Sequence[str], file: Path) -> None:
    """Checks that a label file has the order of the labels, as far as it spells the classes as the dataset does.

    Raises:
        DataError: The lengths differ, or a name stands at the place of another class.
    """
    if len(names) != len(class_names):
        raise DataError(
            f"The label file {file} names {len(names)} classes, but the dataset has {len(class_names)}; "
            "give one name for each class."
        )
    order = [normalize(name) for name in class_names]
    for label, name in enumerate(map(normalize, names)):
        if order[label] != name and name in order:
            raise DataError(
                f"The label file {file} is in another order than the labels: class {label} is {names[label]!r} there, "
                f"but {class_names[label]!r} in the dataset; put it in that order."
            )


def check_folders(records: Sequence[VideoRecord], class_names: Sequence[str], file: Path) -> None:
    """Checks that clips lie in the folder of their class, where folders are named after classes.

    A few clips may lie elsewhere (a class may have been relabeled); if most do, labels and names are in different
    orders.

    Raises:
        DataError: Most clips lie in the folder of another class.
    """
    labels, of_folder = label_of(class_names), {}
    astray, known = [], 0
    for record in records:
        folder = record.video_id.rpartition("/")[0].rpartition("/")[2]
        if folder not in of_folder:
            of_folder[folder] = labels.get(normalize(folder)) if folder else None
        label = of_folder[folder]
        known += label is not None
        if label not in (None, record.label):
            astray.append(record)
    if 2 * len(astray) > known:
        first = astray[0]
        raise DataError(
            f"{file} gives {first.video_id} the label {first.label}, which is {class_names[first.label]!r}, and "
            f"{len(astray)} of {known} clips a class other than their folder's; the label file is in another order."
        )
