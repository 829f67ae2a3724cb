"""Decides where the splits and class names of a dataset come from: published files, or its own annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from datamodules.errors import DataError
from datamodules.splits.class_names import label_of, normalize, read_class_names, split_underscores
from datamodules.splits.lookup import RootIndex, scan_root
from datamodules.splits.published import PublishedFiles, published_file
from datamodules.splits.split import Annotations, Split, check_labels, draw_shots, read_list_file
from datamodules.splits.validation import check_classes_in_use, check_every_class_trains, check_order


class SplitFinder:
    """Finds splits and class names.

    Args:
        published: Where published lists lie under `splits_dir`.
        read_annotations: Reads the dataset's own annotations, given the index of the root and the number of the split.
        to_words: Turns a class name, as it is spelt in the dataset, into words.
        root: Directory of the videos.
        splits_dir: A copy of the published files, or None to use the dataset's own annotations.
        label_file: Other names for the classes, or None.
        split: Number of the split.
        whole_names: Returns the names of all classes of the dataset in label order, where these are a part of them. A
            label file may then name all of them, and annotations may hold others.
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
        whole_names: Callable[[], list[str]] | None = None,
    ) -> None:
        self.published, self.read_annotations, self.to_words = published, read_annotations, to_words
        self.root, self.splits_dir, self.label_file, self.split = root, splits_dir, label_file, split
        self.whole_names = whole_names

    @cached_property
    def annotations(self) -> Annotations:
        """The dataset's own annotations, read once."""
        return self.read_annotations(scan_root(self.root), self.split)

    @cached_property
    def class_names(self) -> list[str]:
        """Y class names in words; the position is the label."""
        if self.label_file is None:
            return self.label_order
        names = self._given_names(self.label_order)
        check_order(names, self.label_order, self.label_file)
        return names

    @cached_property
    def label_order(self) -> list[str]:
        """The classes as the dataset names them, in the order in which labels count."""
        if self.splits_dir is not None:
            file = published_file(self.splits_dir, self.published.labels, "label file", split=self.split)
            return read_class_names(file, self.to_words)
        names = [self.to_words(name) for name in self.annotations.classes()]
        if self.label_file is None or self.annotations.class_order:
            return names
        given = self._given_names(names)  # its order is taken over, if it names the same classes
        return given if set(map(normalize, given)) == set(map(normalize, names)) else names

    def training_split(self, num_shots: int | None, seed: int) -> Split:
        """Returns the training split, or the K-shot part of it: published where `splits_dir` is given, else drawn."""
        split = self._training_split(num_shots)
        self.check_labels(split, self.label_order)
        if num_shots is not None and self.splits_dir is None:
            return draw_shots(split, num_shots, seed, self.label_order)
        check_every_class_trains(split, self.label_order, num_shots)
        return split

    def test_split(self) -> Split:
        """Returns the split that is evaluated."""
        if self.splits_dir is None:
            split = self.annotations.split("test", self.label_order)
        else:
            split = self.read_list(
                published_file(self.splits_dir, self.published.test, "evaluation list", split=self.split)
            )
        self.check_labels(split, self.label_order)
        check_classes_in_use(split, self.label_order)
        return split

    def _training_split(self, num_shots: int | None) -> Split:
        if self.splits_dir is None:
            return self.annotations.split("train", self.label_order)
        if self.published.train is None:
            raise DataError("These classes are only tested on; train on another dataset.")
        if num_shots is not None and self.published.few_shot is not None:
            template, what = self.published.few_shot, f"{num_shots}-shot training list"
            return self.read_list(
                published_file(self.splits_dir, template, what, split=self.split, num_shots=num_shots)
            )
        file = self.splits_dir / self.published.train.format(split=self.split)
        if num_shots is not None:
            raise DataError(f"No {num_shots}-shot list of these classes is published; leave out --data.num_shots.")
        if file.is_file():
            return self.read_list(file)
        try:  # the lists handed round leave out whole training splits, which the dataset itself comes with
            annotations = self.annotations if self.whole_names is None else self.annotations.only(self.label_order)
            return annotations.split("train", self.label_order)
        except DataError as error:
            raise DataError(f"There is no whole training split in {file}, nor with the data: {error}") from error

    def _given_names(self, class_names: Sequence[str]) -> list[str]:
        """Reads the label file; if it names all classes of the dataset, takes those of `class_names`, in their order.

        Raises:
            DataError: It names neither these classes nor all, or the latter in another order.
        """
        to_words = split_underscores if self.label_file.suffix.lower() == ".json" else self.to_words
        given = read_class_names(self.label_file, to_words)
        if self.whole_names is None or len(given) == len(class_names):
            return given
        whole = self.whole_names()
        check_order(given, whole, self.label_file)
        position = label_of(whole)
        if strange := [name for name in class_names if normalize(name) not in position]:
            raise DataError(f"The class {strange[0]!r} is not among all {len(whole)}; correct the published labels.")
        return [given[position[normalize(name)]] for name in class_names]
