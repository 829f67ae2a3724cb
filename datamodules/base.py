"""The data module that every dataset extends: which clips it trains and tests on; `batches.py` has their batches."""

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from datamodules.batches import BatchDataModule
from datamodules.errors import DataError
from datamodules.loading import (
    build_test_dataset,
    build_training_dataset,
    build_validation_dataset,
    find_clips,
)
from datamodules.options import ClipOptions
from datamodules.splits.build_sources import ProtocolSources, build_sources, find_training_split
from datamodules.splits.class_names import split_underscores
from datamodules.splits.lookup import RootIndex, parse_root
from datamodules.splits.protocols import Parts, Setting
from datamodules.splits.published import PublishedFiles
from datamodules.splits.request import DatasetSpec, SplitRequest
from datamodules.splits.source import SplitSource
from datamodules.splits.split import Annotations, EvaluationSet, Split, VideoRecord
from datamodules.transforms.augmentation import Augmentation
from datamodules.video.dataset import VideoDataset
from datamodules.video.file_heads import check_heads


class VideoDataModule(BatchDataModule):
    """Labeled videos for training, validation, testing and prediction.

    A dataset is a subclass with a few class attributes and a way to read its own annotations:

    - `name`: its name in logs and reports;
    - `published`, `other_settings`: paths of its published lists, for all classes and for the other settings;
    - `test_part`: name of the part tested in the setting `standard`;
    - `flips`: whether its clips may be mirrored;
    - `to_words`: turns a class name as the dataset spells it into words;
    - `read_annotations`: reads its own annotations.

    Args:
        root: Directory of the videos, in any layout; or directory or URL of shards from `tcclip transcode --shards`.
        splits_dir: A copy of the published list and label files. Without it, splits come from the dataset's own
            annotations under `root`.
        setting: Which classes and lists: `standard` (all classes), `base_to_novel` (train on the base half, test on
            both halves, labels from 0 in each), or, where published, `zero_shot`, `temporal` and `static`.
        label_file: A `.csv` or `.json` with other names for the classes, in label order. In settings with a part of
            the classes, it names these or all classes; `{part}` (such as `base`) and `{split}` in it are replaced.
        num_shots: Training clips per class; None uses the whole training split.
        split: Number of the split, if the dataset has several; in `base_to_novel`, of the training list.
        test_splits: Numbers of the splits to test, without training; None tests `split`.
        pseudo_labels: A list to train on in place of the dataset's own, of lines `path label`, or a `.csv` with the
            answers of `tcclip recognize --format csv` for unlabeled clips. It may leave classes out.
        augmentation: Augmentation of training clips.
        horizontal_flip: Whether training clips are mirrored; None leaves it to the dataset.
        **options: The fields of `ClipOptions`.
    """

    name: ClassVar[str]
    published: ClassVar[PublishedFiles]
    other_settings: ClassVar[Mapping[str, Parts]] = {}
    test_part: ClassVar[str] = "split{split}"
    flips: ClassVar[bool] = True
    to_words: ClassVar[Callable[[str], str]] = staticmethod(split_underscores)

    def __init__(
        self,
        root: str,
        splits_dir: str | None = None,
        setting: Setting = "standard",
        label_file: str | None = None,
        num_shots: int | None = None,
        split: int = 1,
        test_splits: list[int] | None = None,
        pseudo_labels: str | None = None,
        augmentation: Augmentation = Augmentation(),  # noqa: B008 (frozen)
        horizontal_flip: bool | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        # jsonargparse follows **options to this call, so that every field is a key of the configuration.
        self.options = ClipOptions(**options)
        self.request = SplitRequest(
            dataset=self._describe(),
            root=parse_root(root),
            splits_dir=Path(splits_dir).expanduser() if splits_dir else None,
            setting=setting,
            label_file=Path(label_file).expanduser() if label_file else None,
            num_shots=num_shots,
            split=split,
            test_splits=tuple(test_splits) if test_splits else None,
            pseudo_labels=Path(pseudo_labels).expanduser() if pseudo_labels else None,
            seed=self.options.seed,
        )
        self.augmentation = augmentation
        self.horizontal_flip = self.flips if horizontal_flip is None else horizontal_flip
        self._forget()

    def with_options(self, options: ClipOptions, splits_dir: Path | None = None) -> "VideoDataModule":
        """Return a copy with other clip options, not set up.

        Args:
            options: The options.
            splits_dir: Directory of published lists, if this data module has none.
        """
        changed = copy(self)
        changed.options = options
        changed.request = replace(
            self.request,
            dataset=changed._describe(),  # its annotation reader is bound to the data module
            splits_dir=self.request.splits_dir or splits_dir,
            seed=options.seed,
        )
        changed._forget()
        return changed

    def read_annotations(self, index: RootIndex, split: int) -> Annotations:
        """Read the dataset's own annotations; each dataset overrides this.

        Args:
            index: The files under the root; `index.annotation` gives the path of one, also where the root is a URL.
            split: Number of the split.

        Raises:
            DataError: The annotations are missing or malformed.
        """
        raise DataError(f"{type(self).__name__} cannot read annotations; give published lists with --data.splits_dir.")

    @cached_property
    def sources(self) -> ProtocolSources:
        """Where splits and class names come from."""
        return build_sources(self.request)

    @property
    def requests(self) -> list[SplitRequest]:
        """The splits that this data module reads; a suite has several requests.

        Raises:
            DataError: An option has a wrong value.
        """
        self.check_options()
        return [self.request]

    def check_options(self) -> None:
        """Check the values of the options; a dataset with options of its own extends this.

        Raises:
            DataError: One has a wrong value.
        """
        self.options.check()
        self.augmentation.check()

    @property
    def class_names(self) -> list[str]:
        """Y names of the classes trained on; the position is the label."""
        return self.sources.train.class_names

    @property
    def num_classes(self) -> int:
        """Number Y of classes."""
        return len(self.class_names)

    def setup(self, stage: str | None = None) -> None:
        """Read splits and class names, and find every clip on disk, without decoding any.

        Args:
            stage: `fit`, `validate`, `test` or `predict`; None prepares everything.

        Raises:
            DataError: Something is wrong with the data; the message says what, where and what to do.
        """
        self.check_options()
        if stage in ("fit", None) and "train" not in self.datasets:
            records = self._find("train", find_training_split(self.request, self.sources.train), self.sources.train)
            self.datasets["train"] = build_training_dataset(records, self.options)
        # Lightning calls this for every stage; the test sets of `fit` serve `test` as well.
        if not self.test_sets:
            for part, source in self.sources.tests.items():
                self._add_test_set(EvaluationSet(self.name, part, source.class_names), source)

    def summary(self) -> dict[str, Any]:
        """Return what a report records about the data; call it after `setup`."""
        options, request = self.options, self.request
        views = {"temporal": options.num_temporal_views, "spatial": options.num_spatial_views}
        if options.window_seconds is not None:
            views["window_seconds"] = options.window_seconds
        return {
            "dataset": self.name,
            "setting": request.setting,
            "split": request.split,
            "num_classes": self.num_classes,
            "num_shots": request.num_shots,
            "seed": options.seed,
            "num_frames": options.num_frames,
            "views": views | {"frame_sampling": options.frame_sampling},
            "splits": {name: split.summary() for name, split in self.splits.items()},
        }

    def _describe(self) -> DatasetSpec:
        return DatasetSpec(
            self.name, self.published, self.read_annotations, self.other_settings, self.test_part, self.to_words
        )

    def _forget(self) -> None:
        """Start without splits and datasets, as before `setup`."""
        self.__dict__.pop("sources", None)  # a copy has another request
        self.splits: dict[str, Split] = {}
        self.datasets: dict[str, VideoDataset] = {}
        self.test_datasets: list[VideoDataset] = []
        self.test_sets: list[EvaluationSet] = []
        self.skipped_clips: list[str] = []  # "path: missing", for the report of a run with on_bad_video="skip"

    def _find(self, name: str, split: Split, source: SplitSource) -> list[VideoRecord]:
        self.splits[name] = split
        records, missing = find_clips(split, self.request.root, source.label_order, self.options)
        # A clip may be in several lists; it is reported once.
        self.skipped_clips += [line for name in missing if (line := f"{name}: missing") not in self.skipped_clips]
        return records

    def _add_test_set(self, test_set: EvaluationSet, source: SplitSource) -> None:
        records = self._find(test_set.name, source.test_split(), source)
        self.test_datasets.append(build_test_dataset(records, self.options))
        self.test_sets.append(test_set)
        if len(self.test_sets) == 1:  # validate on the first
            self.datasets["val"] = build_validation_dataset(records, self.options)

    def _predict_unlabeled(self, records: list[VideoRecord], class_names: list[str]) -> None:
        check_heads(records, skips_bad=self.options.on_bad_video == "skip")
        self.test_datasets = [build_test_dataset(records, self.options)]
        self.test_sets = [EvaluationSet(self.name, "unlabeled", class_names)]
