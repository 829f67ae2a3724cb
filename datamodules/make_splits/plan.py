"""Draws the lists of a plan: K-shot lists, and lists of the base and novel halves of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from datamodules.errors import DataError
from datamodules.splits.draw import base_list_seed, draw_shots, halve_classes, keep_classes
from datamodules.splits.protocols import Parts
from datamodules.splits.published import PublishedFiles
from datamodules.splits.split import Entry, Split

DEFAULT_SHOTS = (2, 4, 8, 16)


@dataclass(frozen=True)
class DataSource:
    """A dataset from which splits are drawn.

    Attributes:
        name: Its name.
        published: Paths of its lists in the published layout.
        halves: Paths of its base and novel lists, from `base_to_novel_files`; empty if it has none.
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
        shots: Numbers K of training clips per class; each smaller list is contained in the larger ones.
        base_novel: Whether to draw base and novel halves of the classes.
        base_shots: Training clips per class in a base training list.
        base_lists: Number of base training lists; each is drawn with its own seed.
    """

    seed: int = 1024
    shots: tuple[int, ...] = DEFAULT_SHOTS
    base_novel: bool = True
    base_shots: int = 16
    base_lists: int = 3

    def base_seeds(self) -> list[int]:
        """Return the seed of each base training list."""
        return [base_list_seed(self.seed, number) for number in range(1, self.base_lists + 1)]


@dataclass(frozen=True)
class DrawnList:
    """A list file to write: its clips, and the label file and names of the classes that its labels refer to."""

    entries: list[Entry]
    label_file: str
    class_names: list[str]


def draw_lists(source: DataSource, plan: SplitPlan) -> dict[str, DrawnList]:
    """Draw the lists of a plan; the whole training and evaluation lists are included.

    The draw depends only on the seed, the names of clips and classes, and the label order of the classes.

    Args:
        source: The dataset.
        plan: What to draw.

    Returns:
        Path below the output directory -> list, in the published layout.

    Raises:
        DataError: The dataset has no such lists, a class has too few clips, or a name does not fit in a list file.
    """
    files, names = source.published, source.class_names
    if files.train is None or (plan.shots and files.few_shot is None) or (plan.base_novel and not source.halves):
        raise DataError(f"{source.name} has no such lists; see --shots and --base_novel in `tcclip split --help`.")
    train, test = _sorted(source.train), _sorted(source.test)
    # Now, because a bad name would only show when the lists are read again.
    _check_names([*train.entries, *test.entries])
    drawn = {files.train.format(split=source.split): train, files.test.format(split=source.split): test}
    for num_shots in plan.shots:
        file = files.few_shot.format(split=source.split, num_shots=num_shots)
        drawn[file] = draw_shots(train, num_shots, plan.seed, names, "--shots")
    # Whole and K-shot lists share the labels of all classes; the halves have their own.
    labels = files.labels.format(split=source.split)
    lists = {file: DrawnList(split.entries, labels, names) for file, split in drawn.items()}
    return lists | _draw_halves(source, train, test, plan) if plan.base_novel else lists


def _draw_halves(source: DataSource, train: Split, test: Split, plan: SplitPlan) -> dict[str, DrawnList]:
    lists: dict[str, DrawnList] = {}
    halves = halve_classes(source.class_names, plan.seed)
    for (half, files), classes in zip(source.halves.items(), halves, strict=True):
        names = [source.class_names[label] for label in classes]
        drawn = {files.test: keep_classes(test, classes)}
        if half == "base":  # novel classes are only tested on
            half_train = keep_classes(train, classes)
            drawn[files.train] = half_train
            for number, seed in enumerate(plan.base_seeds(), start=1):
                file = files.few_shot.format(split=number)
                drawn[file] = draw_shots(half_train, plan.base_shots, seed, names, "--base_shots")
        lists |= {file: DrawnList(split.entries, files.labels, names) for file, split in drawn.items()}
    return lists


def _sorted(split: Split) -> Split:
    """Sort a split by class and name: the order of clips on disk differs between machines."""
    return Split(sorted(split.entries, key=lambda entry: (entry.label, entry.name)), split.files)


def _check_names(entries: Sequence[Entry]) -> None:
    for name, _ in entries:
        # splitlines knows more line breaks than "\n", and readers of list files strip spaces.
        if name != name.strip() or len(name.splitlines()) != 1:
            raise DataError(
                f"The clip {name!r} has a line break in its name, or a space at an end, which a list file cannot "
                "hold; rename it."
            )
