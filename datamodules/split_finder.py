"""Decides where the splits and class names of a data set come from: published files, or its own annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from datamodules.class_names import normalise, read_class_names
from datamodules.errors import DataError
from datamodules.published import PublishedFiles, published_file
from datamodules.root_index import RootIndex, scan_root
from datamodules.splits import Annotations, Split, check_labels, draw_shots, read_list_file


class SplitFinder:
    """Finds splits and class names.

    Args:
        published: Where published lists lie under `splits_dir`.
        read_annotations: Reads the data set's own annotations, given the index of the root and the number of the split.
        to_words: Turns a class name, as it is spelt in the data set, into words.
        root: Directory of the videos.
        splits_dir: A copy of the published files, or None to use the data set's own annotations.
        label_file: Other names for the classes, or None.
        split: Number of the split.
    """

    # How a list is read and its labels are checked; a check that goes on after the first fault puts its own in place.
    read_list: Callable[[Path], Split] = staticmethod(read_list_file)
    check_labels: Callable[[Split, Sequence[str]], None] = staticmethod(check_labels)

    def __init__(
        self,
        published: PublishedFiles,
        read_annotations: Callable[[RootIndex, int], Annotations],
        to_words: Callable[[str], str],
        root: Path,
        splits_dir: Path | None = None,
        label_file: Path | None = None,
        split: int = 1,
    ) -> None:
        self.published, self.read_annotations, self.to_words = published, read_annotations, to_words
        self.root, self.splits_dir, self.label_file, self.split = root, splits_dir, label_file, split

    @cached_property
    def annotations(self) -> Annotations:
        """The data set's own annotations, read once."""
        return self.read_annotations(scan_root(self.root), self.split)

    @cached_property
    def class_names(self) -> list[str]:
        """Y class names in words; the position is the label."""
        names = self._label_order if self.label_file is None else read_class_names(self.label_file, self.to_words)
        if len(names) != len(self._label_order):
            raise DataError(
                f"The label file {self.label_file} names {len(names)} classes, but the data set has "
                f"{len(self._label_order)}; give one name for each class."
            )
        order = [normalise(name) for name in self._label_order]
        for label, name in enumerate(map(normalise, names)):
            if name in order and order[label] != name:
                raise DataError(
                    f"The label file {self.label_file} is in another order than the labels: class {label} is "
                    f"{names[label]!r} there, but {self._label_order[label]!r} in the data set; put it in that order."
                )
        return names

    def training_split(self, num_shots: int | None, seed: int) -> Split:
        """Returns the training split, or the K-shot part of it: published where `splits_dir` is given, else drawn."""
        split = self._training_split(num_shots)
        self.check_labels(split, self._label_order)
        if num_shots is None or self.splits_dir is not None:
            return split
        return draw_shots(split, num_shots, seed, self._label_order)

    def test_split(self) -> Split:
        """Returns the split that is evaluated."""
        if self.splits_dir is None:
            return self.annotations.split("test", self._label_order)
        file = published_file(self.splits_dir, self.published.test, "evaluation list", split=self.split)
        split = self.read_list(file)
        self.check_labels(split, self._label_order)
        return split

    def _training_split(self, num_shots: int | None) -> Split:
        if self.splits_dir is None:
            return self.annotations.split("train", self._label_order)
        if num_shots is not None:
            template, what = self.published.few_shot, f"{num_shots}-shot training list"
            return self.read_list(
                published_file(self.splits_dir, template, what, split=self.split, num_shots=num_shots)
            )
        file = self.splits_dir / self.published.train.format(split=self.split)
        if file.is_file():
            return self.read_list(file)
        try:  # the lists handed round leave out whole training splits, which the data set itself comes with
            return self.annotations.split("train", self._label_order)
        except DataError as error:
            raise DataError(f"There is no whole training split in {file}, nor with the data: {error}") from error

    @cached_property
    def _label_order(self) -> list[str]:
        """The classes in the order in which labels count."""
        if self.splits_dir is not None:
            return read_class_names(published_file(self.splits_dir, self.published.labels, "label file"), self.to_words)
        return self._reordered([self.to_words(name) for name in self.annotations.classes()])

    def _reordered(self, names: list[str]) -> list[str]:
        """Takes over the order of the label file, if it names the same classes."""
        if self.label_file is None:
            return names
        given = read_class_names(self.label_file, self.to_words)
        return given if set(map(normalise, given)) == set(map(normalise, names)) else names
