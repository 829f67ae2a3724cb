"""Finds the parts that a request trains and tests on, and where the lists and class names of each come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from datamodules.errors import DataError
from datamodules.options import check_choice, check_positive
from datamodules.splits.answers import SUFFIX, read_answers
from datamodules.splits.class_names import read_class_names
from datamodules.splits.draw import base_list_seed, halve_classes
from datamodules.splits.lookup import RootIndex, scan_root
from datamodules.splits.protocols import BASE_TO_NOVEL, HALVES, STANDARD, Parts
from datamodules.splits.published import PublishedFiles
from datamodules.splits.request import ReadAnnotations, SplitRequest
from datamodules.splits.source import STRICT, ListReader, SplitSource
from datamodules.splits.split import Annotations, Split


@dataclass(frozen=True)
class ProtocolSources:
    """Where the splits of a request come from.

    Attributes:
        train: The training clips; its class names are those trained on.
        tests: Part, such as `split1` -> its test clips, in the order of testing.
    """

    train: SplitSource
    tests: dict[str, SplitSource]


def build_sources(request: SplitRequest) -> ProtocolSources:
    """Build the sources of a request, without reading anything.

    Raises:
        DataError: A number is less than 1, or as in `choose_parts`.
    """
    check_positive(num_shots=request.num_shots, split=request.split)
    parts = choose_parts(request)
    read = request.dataset.read_annotations
    if request.setting != STANDARD:
        # Numbers count base lists here, not splits: classes and clips are those of split 1. Cached, so that base and
        # novel read the annotations once.
        read = cache(lambda index, _: request.dataset.read_annotations(index, 1))

    def build_split(split: int) -> dict[str, SplitSource]:
        of_part = {name.format(split=split): files for name, files in parts.items()}
        return {part: _build_source(request, part, files, split, read) for part, files in of_part.items()}

    # The tested splits usually include the trained one: sharing its sources reads its annotations once.
    tested = request.test_splits or (request.split,)
    of_split = {split: build_split(split) for split in {request.split, *tested}}
    tests = {part: source for split in tested for part, source in of_split[split].items()}
    return ProtocolSources(next(iter(of_split[request.split].values())), tests)


def find_training_split(request: SplitRequest, source: SplitSource, reader: ListReader = STRICT) -> Split:
    """Find the training clips of a request.

    Args:
        request: The request.
        source: The training source of the request.
        reader: Reads and checks a published list.

    Raises:
        DataError: They cannot be found or read, or would be tested too.
    """
    if request.test_splits not in (None, (request.split,)):
        # Split 2 tests clips that split 1 trains on.
        raise DataError("Training clips would be tested as well; leave out --data.test_splits when you train.")
    if request.pseudo_labels is not None:
        if request.num_shots is not None:
            raise DataError("No shots are drawn from a list of pseudo-labels; leave out --data.num_shots.")
        is_csv = request.pseudo_labels.suffix.lower() == SUFFIX
        split = (
            read_answers(request.pseudo_labels, source.label_order) if is_csv else reader.read(request.pseudo_labels)
        )
        reader.check_labels(split, source.label_order)
        return replace(split, is_predicted=True)
    is_base_list = request.setting == BASE_TO_NOVEL
    seed = base_list_seed(request.seed, request.split) if is_base_list else request.seed
    return source.training_split(request.num_shots, seed, reader)


def choose_parts(request: SplitRequest) -> Parts:
    """Return the parts of a request's setting.

    Raises:
        DataError: The dataset has no such setting, the setting needs published lists, or it has no numbered splits.
    """
    dataset = request.dataset
    settings: Mapping[str, Parts] = {STANDARD: {dataset.test_part: dataset.published}, **dataset.other_settings}
    check_choice("setting", request.setting, settings)
    parts = settings[request.setting]
    if request.splits_dir is None and request.setting not in (STANDARD, BASE_TO_NOVEL):
        raise DataError(
            f"The setting {request.setting} of {dataset.name} is defined by published lists; "
            "give a copy of them with --data.splits_dir."
        )
    if request.test_splits and not any("{split}" in name for name in parts):
        raise DataError(f"{dataset.name} has one test split here; leave out --data.test_splits.")
    if request.split != 1 and not any(_is_numbered(name, files) for name, files in parts.items()):
        raise DataError(f"--data.split is {request.split}, but {dataset.name} has one split here; leave it out.")
    return parts


def _is_numbered(name: str, files: PublishedFiles) -> bool:
    return any("{split}" in template for template in (name, files.few_shot or ""))


def _build_source(
    request: SplitRequest, part: str, files: PublishedFiles, split: int, read: ReadAnnotations
) -> SplitSource:
    # Published halves have lists of their own; without these, the halves are drawn.
    is_drawn_half = part in HALVES and request.splits_dir is None
    return SplitSource(
        files,
        partial(_read_half, read, part, request.seed) if is_drawn_half else read,
        request.dataset.to_words,
        request.root,
        request.splits_dir,
        _find_label_file(request.label_file, part, split),
        split,
        None if request.setting == STANDARD else partial(_read_whole_names, request, read),
    )


def _read_half(read: ReadAnnotations, half: str, seed: int, index: RootIndex, split: int) -> Annotations:
    """Read the annotations of the base or the novel half, drawn as `tcclip split` draws them."""
    annotations = read(index, split)
    classes = annotations.classes()
    labels = dict(zip(HALVES, halve_classes(classes, seed), strict=True))[half]
    return annotations.only([classes[label] for label in labels])


def _read_whole_names(request: SplitRequest, read: ReadAnnotations) -> list[str]:
    dataset = request.dataset
    if request.splits_dir is None:
        return [dataset.to_words(name) for name in read(scan_root(request.root), 1).classes()]
    return read_class_names(request.splits_dir / dataset.published.labels, dataset.to_words)


def _find_label_file(label_file: Path | None, part: str, split: int) -> Path | None:
    """Replace `{part}` and `{split}` in the path. Not by `str.format`: the path may contain other braces."""
    if label_file is None:
        return None
    return Path(str(label_file).replace("{part}", part).replace("{split}", str(split)))
