"""The types of this package: splits and their entries, clips on disk, annotations, and what a test evaluates on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from datamodules.errors import DataError
from datamodules.splits.class_names import label_of, normalize

UNLABELED = -2  # the label of a clip whose class is not known; -1 marks padding, which predictions leave out


class Entry(NamedTuple):
    """One line of a split: the clip's name as written there, and its label."""

    name: str
    label: int


class VideoRecord(NamedTuple):
    """One clip on disk; `video_id` is its path relative to the data root."""

    path: str
    video_id: str
    label: int


@dataclass(frozen=True)
class EvaluationSet:
    """What one test loader reads.

    Attributes:
        dataset: Name of the dataset, such as `hmdb51`.
        part: Part of the test protocol: `split1`, `base`, `novel`, `validation`, ...
        class_names: Y class names; the position is the label.
    """

    dataset: str
    part: str
    class_names: list[str]

    @property
    def name(self) -> str:
        """Name in logs and reports, such as `hmdb51/split1`."""
        return f"{self.dataset}/{self.part}"


@dataclass(frozen=True)
class Split:
    """Labeled clips, and the files they were read from (or the directory whose layout defines them).

    Attributes:
        entries: The clips.
        files: The files, or the directory.
        is_predicted: Whether a model made the labels: they may contradict the clips' folders, and leave classes out.
    """

    entries: list[Entry]
    files: tuple[Path, ...]
    is_predicted: bool = False

    def summary(self) -> dict[str, object]:
        """Return what a report records about a split: its files, their SHA-256 and the number of clips."""
        digest = hashlib.sha256()
        for file in self.files:
            # A directory has no content of its own: its entries stand in for it.
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
        clips: `train` and `test` -> (clip, class name) pairs.
        files: The annotation files.
        class_order: All class names in label order, if the dataset numbers its classes.
    """

    clips: dict[str, list[tuple[str, str]]]
    files: tuple[Path, ...]
    class_order: tuple[str, ...] = ()

    def classes(self) -> list[str]:
        """Return all class names as annotated: in label order if there is one, else alphabetically."""
        return list(self.class_order) or sorted({name for part in self.clips.values() for _, name in part})

    def only(self, class_names: Collection[str]) -> Annotations:
        """Return the annotations of some classes, matched by name in any spelling."""
        kept = {normalize(name) for name in class_names}
        order = tuple(name for name in self.classes() if normalize(name) in kept)
        known = set(order)  # Kinetics has 240 thousand clips to look up in 400 names
        clips = {part: [(c, name) for c, name in found if name in known] for part, found in self.clips.items()}
        return Annotations(clips, self.files, order)

    def split(self, part: str, class_names: Sequence[str]) -> Split:
        """Turn `train` or `test` into a split whose labels are positions in `class_names`.

        Raises:
            DataError: An annotated class is not among `class_names`, or two of these differ only in spelling.
        """
        known = label_of(class_names)
        if len(known) < len(class_names):
            twins = [name for name in class_names if class_names[known[normalize(name)]] != name]
            raise DataError(f"The class {twins[0]!r} differs from another one only in spelling; rename it.")
        # Names are matched once per class: normalizing once per clip would take seconds on Kinetics.
        labels = {name: known.get(normalize(name)) for name in self.classes()}
        unknown = [name for name, label in labels.items() if label is None]
        if unknown:
            raise DataError(
                f"The annotations in {self.files[0]} have a class {unknown[0]!r} that the label file lacks; "
                "use the label file of this dataset."
            )
        return Split([Entry(clip, labels[name]) for clip, name in self.clips[part]], self.files)
