"""Reads splits and class names from where they are: published files, or the dataset's own annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from datamodules.errors import DataError
from datamodules.splits.class_names import label_of, normalize, read_class_names, split_underscores
from datamodules.splits.draw import draw_shots
from datamodules.splits.list_files import read_list_file
from datamodules.splits.lookup import Root, scan_root
from datamodules.splits.published import PublishedFiles, find_published
from datamodules.splits.request import ReadAnnotations
from datamodules.splits.split import Annotations, Split
from datamodules.splits.validation import (
    check_class_count,
    check_classes_in_use,
    check_every_class_trains,
    check_labels,
    check_order,
)


@dataclass(frozen=True)
class ListReader:
    """How a list file is read and its labels are checked.

    By default, both raise an error at the first mistake; `tcclip check` notes mistakes and goes on.
    """

    read: Callable[[Path], Split] = read_list_file
    check_labels: Callable[[Split, Sequence[str]], None] = check_labels


STRICT = ListReader()


@dataclass
class SplitSource:
    """The splits and class names of one part of a protocol. Nothing is read until it is asked for.

    Attributes:
        published: Where published lists are under `splits_dir`.
        read_annotations: Reads the dataset's own annotations.
        to_words: Turns a class name as the dataset spells it into words.
        root: Directory of the videos, or directory or URL of shards.
        splits_dir: A copy of the published files, or None to use the dataset's own annotations.
        label_file: A file with other class names, or None.
        split: Number of the split.
        read_whole_names: Reads the names of all classes of the dataset in label order, if this part has only some of
            them. The label file may then name all classes, and the annotations may contain others.
    """

    published: PublishedFiles
    read_annotations: ReadAnnotations
    to_words: Callable[[str], str]
    root: Root
    splits_dir: Path | None
    label_file: Path | None
    split: int
    read_whole_names: Callable[[], list[str]] | None = None

    @cached_property
    def annotations(self) -> Annotations:
        """The dataset's own annotations, read once."""
        return self.read_annotations(scan_root(self.root), self.split)

    @cached_property
    def class_names(self) -> list[str]:
        """Y class names for the model; the position is the label."""
        if self.label_file is None:
            return self.label_order
        # Lists count in the dataset's label order, which the label file must follow.
        names = self._names_from_label_file(self.label_order)
        check_order(names, self.label_order, self.label_file)
        return names

    @cached_property
    def label_order(self) -> list[str]:
        """Y class names as the dataset has them, in label order; `class_names` may rephrase them."""
        if self.splits_dir is not None:
            file = find_published(self.splits_dir, self.published.labels, "label file", split=self.split)
            return read_class_names(file, self.to_words)
        names = [self.to_words(name) for name in self.annotations.classes()]
        if self.label_file is None or self.annotations.class_order:
            return names
        # The dataset does not number its classes, so a label file with the same names may set their order.
        given = self._names_from_label_file(names)
        return given if set(map(normalize, given)) == set(map(normalize, names)) else names

    def training_split(self, num_shots: int | None, seed: int, reader: ListReader = STRICT) -> Split:
        """Return the training split.

        Args:
            num_shots: Clips per class; None for all. K-shot lists are read where they are published, else drawn.
            seed: Seed of the draw.
            reader: Reads and checks a published list.

        Raises:
            DataError: The split cannot be found or read, or does not fit the class names.
        """
        split = self._read_training_split(num_shots, reader)
        reader.check_labels(split, self.label_order)
        check_class_count(split, self.label_order)
        # Published K-shot lists are drawn already.
        if num_shots is not None and (self.splits_dir is None or self.published.few_shot is None):
            return draw_shots(split, num_shots, seed, self.label_order)
        check_every_class_trains(split, self.label_order, num_shots)
        return split

    def test_split(self, reader: ListReader = STRICT) -> Split:
        """Return the split to evaluate on.

        Args:
            reader: Reads and checks a published list.

        Raises:
            DataError: The split cannot be found or read, or does not fit the class names.
        """
        if self.splits_dir is None:
            split = self.annotations.split("test", self.label_order)
        else:
            split = reader.read(
                find_published(self.splits_dir, self.published.test, "evaluation list", split=self.split)
            )
        reader.check_labels(split, self.label_order)
        check_class_count(split, self.label_order)
        check_classes_in_use(split, self.label_order)
        return split

    def _read_training_split(self, num_shots: int | None, reader: ListReader) -> Split:
        if self.splits_dir is None:
            return self.annotations.split("train", self.label_order)
        if self.published.train is None:
            raise DataError("These classes are only tested on; train on another dataset.")
        if num_shots is not None and self.published.few_shot is not None:
            template, what = self.published.few_shot, f"{num_shots}-shot training list"
            file = find_published(self.splits_dir, template, what, split=self.split, num_shots=num_shots)
            return reader.read(file)
        file = self.splits_dir / self.published.train.format(split=self.split)
        return reader.read(file) if file.is_file() else self._annotated_training_split(file)

    def _annotated_training_split(self, file: Path) -> Split:
        """Return the whole training split as annotated: the published files leave the large ones out."""
        try:
            # `only`: of a base half, the annotations have clips of the novel classes too.
            whole = self.annotations
            annotations = whole if self.read_whole_names is None else whole.only(self.label_order)
            return annotations.split("train", self.label_order)
        except DataError as error:
            raise DataError(f"There is no whole training split in {file}, nor with the data: {error}") from error

    def _names_from_label_file(self, class_names: Sequence[str]) -> list[str]:
        """Read the label file; if it names all classes of the dataset, pick those of `class_names`, in their order.

        Raises:
            DataError: It names neither these classes nor all classes, or all of them in another order.
        """
        # A JSON has rephrased names, finished text: the dataset's spelling rules would spoil it.
        to_words = split_underscores if self.label_file.suffix.lower() == ".json" else self.to_words
        given = read_class_names(self.label_file, to_words)
        if self.read_whole_names is None or len(given) == len(class_names):
            return given
        whole = self.read_whole_names()
        check_order(given, whole, self.label_file)
        position = label_of(whole)
        if unknown := [name for name in class_names if normalize(name) not in position]:
            raise DataError(
                f"The class {unknown[0]!r} is not among the {len(whole)} of the dataset; correct the published labels."
            )
        return [given[position[normalize(name)]] for name in class_names]
