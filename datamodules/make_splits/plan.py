"""Draws splits from a dataset's own annotations: K-shot lists, and base and novel halves of the classes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from datamodules.errors import DataError
from datamodules.splits.class_names import normalize
from datamodules.splits.published import Parts, PublishedFiles
from datamodules.splits.split import Entry, Split, draw_shots

DEFAULT_SHOTS = (2, 4, 8, 16)


@dataclass(frozen=True)
class DataSource:
    """A dataset from which splits are drawn.

    Attributes:
        name: Its name.
        published: Where its lists lie in the published layout.
        halves: Where those of its base and novel classes do, as `base_to_novel_files` has them; empty if it has none.
        split: Number of its split.
        class_names: Y names; the position is the label.
        train: Its whole training split.
        test: Its evaluation split.
    """

    name: str
    published: PublishedFiles
    halves: Parts
    split: int
    class_names: list[str]
    train: Split
    test: Split


@dataclass(frozen=True)
class SplitPlan:
    """What to draw.

    Attributes:
        seed: The same seed gives the same lists on any machine.
        shots: Numbers K of training clips for each class; a smaller list lies inside each larger one.
        base_novel: Whether to draw base and novel halves of the classes.
        base_shots: Training clips for each base class in a base training list.
        base_lists: Number of base training lists, each drawn with a seed of its own.
    """

    seed: int = 1024
    shots: tuple[int, ...] = DEFAULT_SHOTS
    base_novel: bool = True
    base_shots: int = 16
    base_lists: int = 3

    def base_seed(self, number: int) -> int:
        """Returns the seed of base training list `number`, which counts from 1."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}/base list {number}".encode()).digest()[:4], "big")


@dataclass(frozen=True)
class DrawnList:
    """A list file to be written: its clips, and the label file and names of the classes in which their labels count."""

    entries: list[Entry]
    label_file: str
    class_names: list[str]


def draw_lists(source: DataSource, plan: SplitPlan) -> dict[str, DrawnList]:
    """Draws the lists of a plan, with the whole training and evaluation lists beside them.

    Nothing but the seed, the names of the clips and classes and the annotated order of the classes decides.

    Args:
        source: The dataset.
        plan: What to draw.

    Returns:
        Path below the directory of lists -> list, in the published layout.

    Raises:
        DataError: The dataset has no such lists, a class too few clips, or a name cannot stand in a list file.
    """
    files, names = source.published, source.class_names
    if files.train is None or (plan.shots and files.few_shot is None) or (plan.base_novel and not source.halves):
        raise DataError(f"{source.name} has no such lists; see --shots and --base_novel in `tcclip split --help`.")
    train, test = _sorted(source.train), _sorted(source.test)
    _check_names([*train.entries, *test.entries])
    drawn = {files.train.format(split=source.split): train, files.test.format(split=source.split): test}
    for num_shots in plan.shots:
        file = files.few_shot.format(split=source.split, num_shots=num_shots)
        drawn[file] = _draw(train, num_shots, plan.seed, names, "--shots")
    labels = files.labels.format(split=source.split)
    lists = {file: DrawnList(split.entries, labels, names) for file, split in drawn.items()}
    return lists | _draw_halves(source, train, test, plan) if plan.base_novel else lists


def halve_classes(class_names: Sequence[str], seed: int) -> tuple[list[int], list[int]]:
    """Draws base and novel classes; of an odd number, base gets one more.

    The classes are ordered by a hash of seed and name, in a spelling that ignores case and underscores.

    Args:
        class_names: Y names, at least 2.
        seed: Another seed gives other halves.

    Returns:
        The labels of the base classes and those of the novel ones, each in rising order.

    Raises:
        DataError: There are fewer than two classes.
    """
    if len(class_names) < 2:
        raise DataError("The dataset has fewer than two classes, which cannot be halved; use --base_novel false.")

    def rank(label: int) -> bytes:
        return hashlib.sha256(f"{seed}/{normalize(class_names[label])}".encode()).digest()

    order = sorted(range(len(class_names)), key=rank)
    num_base = (len(order) + 1) // 2
    return sorted(order[:num_base]), sorted(order[num_base:])


def keep_classes(split: Split, classes: Sequence[int]) -> Split:
    """Keeps the clips of some classes, with labels re-numbered from 0 in the order of `classes`."""
    new_label = {label: number for number, label in enumerate(classes)}
    kept = [Entry(entry.name, new_label[entry.label]) for entry in split.entries if entry.label in new_label]
    return Split(kept, split.files)


def _draw_halves(source: DataSource, train: Split, test: Split, plan: SplitPlan) -> dict[str, DrawnList]:
    lists: dict[str, DrawnList] = {}
    halves = halve_classes(source.class_names, plan.seed)
    for (half, files), classes in zip(source.halves.items(), halves, strict=True):
        names = [source.class_names[label] for label in classes]
        drawn = {files.test: keep_classes(test, classes)}
        if half == "base":
            half_train = keep_classes(train, classes)
            drawn[files.train] = half_train
            for number in range(1, plan.base_lists + 1):
                file, seed = files.few_shot.format(split=number), plan.base_seed(number)
                drawn[file] = _draw(half_train, plan.base_shots, seed, names, "--base_shots")
        lists |= {file: DrawnList(split.entries, files.labels, names) for file, split in drawn.items()}
    return lists


def _draw(split: Split, num_shots: int, seed: int, names: Sequence[str], option: str) -> Split:
    counts = [0] * len(names)
    for entry in split.entries:
        counts[entry.label] += 1
    scarce = min(range(len(names)), key=counts.__getitem__)
    if counts[scarce] < num_shots:
        raise DataError(
            f"Class {names[scarce]!r} has {counts[scarce]} training clips, fewer than the {num_shots} shots asked for; "
            f"give smaller numbers by {option}."
        )
    return draw_shots(split, num_shots, seed, names)


def _sorted(split: Split) -> Split:
    """Orders a split by class and name, so that the order in which annotations were found does not matter."""
    return Split(sorted(split.entries, key=lambda entry: (entry.label, entry.name)), split.files)


def _check_names(entries: Sequence[Entry]) -> None:
    for name, _ in entries:
        if name != name.strip() or len(name.splitlines()) != 1:
            raise DataError(
                f"The clip {name!r} has a line break in its name, or a blank at its beginning or end, and cannot stand "
                "in a list file; rename it."
            )
