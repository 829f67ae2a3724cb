"""What is tested in a setting, and on which of the classes it trains: one `SplitFinder` for each part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import DataError
from datamodules.make_splits.plan import SplitPlan, halve_classes
from datamodules.options import check_choice
from datamodules.splits.class_names import read_class_names
from datamodules.splits.lookup import RootIndex, scan_root
from datamodules.splits.published import Parts, PublishedFiles
from datamodules.splits.source import SplitFinder
from datamodules.splits.split import Annotations, Split

if TYPE_CHECKING:
    from datamodules.base import VideoDataModule

STANDARD, BASE_TO_NOVEL = "standard", "base_to_novel"
HALVES = ("base", "novel")


def choose_parts(data: VideoDataModule) -> Parts:
    """Returns the parts of the setting of a data module.

    Raises:
        DataError: The dataset has no such setting, it needs published lists, or it has no numbered splits.
    """
    settings: Mapping[str, Parts] = {STANDARD: {data.test_name: data.published}, **data.other_settings}
    check_choice("setting", data.setting, settings)
    parts = settings[data.setting]
    if data.splits_dir is None and data.setting not in (STANDARD, BASE_TO_NOVEL):
        raise DataError(
            f"The setting {data.setting} of {data.name} is defined by published lists; "
            "give a copy of them by --data.splits_dir."
        )
    if data.test_splits and not any("{split}" in name for name in parts):
        raise DataError(f"The test clips of {data.name} are in one split; leave out --data.test_splits.")
    if data.split != 1 and not any(_is_numbered(name, files) for name, files in parts.items()):
        raise DataError(f"--data.split is {data.split}, but {data.name} has one split here; leave it out.")
    return parts


def build_finders(data: VideoDataModule, split: int) -> dict[str, SplitFinder]:
    """Makes what finds lists and labels for each part of one split.

    Args:
        data: The data module.
        split: Number of the split.

    Returns:
        Name of the test set, such as `hmdb51/split1` -> its finder. The first one's classes are trained on.
    """
    parts = choose_parts(data)
    read, whole_names = data.read_annotations, None
    if data.setting != STANDARD:
        read = cache(lambda index, _: data.read_annotations(index, 1))  # one reading for both halves
        whole_names = cache(lambda: _whole_names(data, read))
    return {
        f"{data.name}/{name.format(split=split)}": SplitFinder(
            files,
            _half_reader(read, name, data.seed) if name in HALVES and data.splits_dir is None else read,
            data.to_words,
            data.root,
            data.splits_dir,
            _label_file(data.label_file, name, split),
            split,
            whole_names,
        )
        for name, files in parts.items()
    }


def build_test_finders(data: VideoDataModule) -> dict[str, SplitFinder]:
    """Makes what finds the lists of every test set, in the order in which they are tested."""
    splits = data.test_splits or [data.split]
    return {name: finder for split in splits for name, finder in data.finders(split).items()}


def find_training_split(data: VideoDataModule) -> Split:
    """Finds the training clips.

    Raises:
        DataError: They are not there, or clips that are trained on would be tested.
    """
    if data.test_splits not in (None, [data.split]):
        raise DataError("Clips trained on would be tested; leave out --data.test_splits where you train.")
    # In base_to_novel each number of the training list has a seed of its own.
    seed = SplitPlan(data.seed).base_seed(data.split) if data.setting == BASE_TO_NOVEL else data.seed
    return data.split_finder.training_split(data.num_shots, seed)


def _is_numbered(name: str, files: PublishedFiles) -> bool:
    return any("{split}" in template for template in (name, files.few_shot or ""))


def _half_reader(
    read: Callable[[RootIndex, int], Annotations], half: str, seed: int
) -> Callable[[RootIndex, int], Annotations]:
    """Restricts annotations to the base or the novel half of the classes, the same that `tcclip split` draws."""

    def read_half(index: RootIndex, split: int) -> Annotations:
        annotations = read(index, split)
        classes = annotations.classes()
        labels = dict(zip(HALVES, halve_classes(classes, seed), strict=True))[half]
        return annotations.only([classes[label] for label in labels])

    return read_half


def _whole_names(data: VideoDataModule, read: Callable[[RootIndex, int], Annotations]) -> list[str]:
    if data.splits_dir is None:
        return [data.to_words(name) for name in read(scan_root(data.root), 1).classes()]
    return read_class_names(data.splits_dir / data.published.labels, data.to_words)


def _label_file(label_file: Path | None, name: str, split: int) -> Path | None:
    """Puts the name of the part in the place of `{part}`, and the number of the split in that of `{split}`."""
    if label_file is None:
        return None
    part = name.format(split=split)
    return Path(str(label_file).replace("{part}", part).replace("{split}", str(split)))
