"""Trains on one dataset and tests on several in one run, each with its own splits and class names."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from datamodules.base import VideoDataModule
from datamodules.errors import DataError
from datamodules.options import ClipOptions
from datamodules.splits.request import SplitRequest
from datamodules.splits.split import EvaluationSet
from datamodules.transforms.augmentation import Augmentation
from datamodules.video.batch import VideoBatch


class EvaluationSuite(LightningDataModule):
    """One dataset to train on, several to test on.

    Training and validation use `train` and its class names. Testing uses every test set of `tests`, each with its own
    class names; see `test_sets`. Clip options are set once, here, and apply to all datasets.

    Args:
        tests: The datasets to test on, by any names; `--data.tests.<name>.root` changes the root of one of them.
        train: The dataset to train on; not needed, and not read, when only testing.
        splits_dir: A copy of the published list and label files, for the datasets that have no `splits_dir`.
        augmentation: Augmentation of training clips, in place of that of `train`.
        **options: The fields of `ClipOptions`.
    """

    def __init__(
        self,
        tests: dict[str, VideoDataModule],
        train: VideoDataModule | None = None,
        splits_dir: str | None = None,
        augmentation: Augmentation | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.options = ClipOptions(**options)
        self._given = [*([train] if train is not None else []), *tests.values()]
        lists = Path(splits_dir).expanduser() if splits_dir else None
        # Copies: a data module given to a suite may be used elsewhere, with options of its own.
        self.train = train.with_options(self.options, lists) if train is not None else None
        if self.train is not None and augmentation is not None:
            self.train.augmentation = augmentation
        self.tests = {name: data.with_options(self.options, lists) for name, data in tests.items()}
        self.test_sets: list[EvaluationSet] = []
        self._is_training = train is not None

    @property
    def requests(self) -> list[SplitRequest]:
        """The splits that the datasets read: of the one to train on, then of those to test on.

        Raises:
            DataError: As in `setup`, about the options.
        """
        self._check_options()
        trained = [self.train.request] if self.train is not None else []
        return [*trained, *(replace(data.request, is_test_only=True) for data in self.tests.values())]

    @property
    def class_names(self) -> list[str]:
        """Names of the classes trained on; when only testing, of those of the first test set."""
        return self.train.class_names if self._is_training else self.test_sets[0].class_names

    @property
    def num_classes(self) -> int:
        """Number of classes in `class_names`."""
        return len(self.class_names)

    @property
    def batch_size(self) -> int:
        """Videos per batch on one device."""
        return self.options.batch_size

    @property
    def global_batch_size(self) -> int | None:
        """Videos per optimizer step; None means no accumulation."""
        return self.options.global_batch_size

    def setup(self, stage: str | None = None) -> None:
        """Prepare what the stage needs. The tests are prepared before training too, so that mistakes show up early.

        Args:
            stage: `fit`, `validate`, `test` or `predict`; None prepares everything.

        Raises:
            DataError: An option has a wrong value, or a dataset another one than the suite; something is wrong with
                the data; there is nothing to train on; or two test sets share a name.
        """
        self._check_options()
        for data in self.members:
            data.trainer = self.trainer  # Lightning sets it on the suite only
        self._is_training = stage in ("fit", "validate") or (stage is None and self.train is not None)
        if self._is_training:
            if self.train is None:
                raise DataError("This suite has no dataset to train on; give --data.train, or use `tcclip test`.")
            self.train.setup(stage)
        for data in self.tests.values():
            data.setup("test")
        self.test_sets = [entry for data in self.tests.values() for entry in data.test_sets]
        # Results are stored by name: of two equal ones, the second would replace the first.
        names = [entry.name for entry in self.test_sets]
        if not names or len(set(names)) < len(names):
            raise DataError(f"A suite needs test sets with different names, but has {', '.join(names) or 'none'}.")

    def train_dataloader(self) -> DataLoader[VideoBatch]:
        """Return the training loader of `train`."""
        return self.train.train_dataloader()

    def val_dataloader(self) -> DataLoader[VideoBatch]:
        """Return the validation loader of `train`."""
        return self.train.val_dataloader()

    def test_dataloader(self) -> list[DataLoader[VideoBatch]]:
        """Return a loader for each of `test_sets`."""
        loaders = []
        for data in self.tests.values():
            made = data.test_dataloader()  # a list only if the dataset has several test sets
            loaders += made if isinstance(made, list) else [made]
        return loaders

    def predict_dataloader(self) -> DataLoader[VideoBatch]:
        """Return a loader of the first of `test_sets`."""
        return next(iter(self.tests.values())).predict_dataloader()

    def on_after_batch_transfer(self, batch: VideoBatch, dataloader_idx: int) -> VideoBatch:
        """Augment and normalize a training batch as `train` does; normalize any other batch, alike for all datasets."""
        return self.members[0].on_after_batch_transfer(batch, dataloader_idx)

    def summary(self) -> dict[str, Any]:
        """Return what a report records about the data; call it after `setup`."""
        # Not by the stage: the test after a training sets the suite up again, but describes the same run.
        has_trained = self.train is not None and "train" in self.train.splits
        tests = {name: data.summary() for name, data in self.tests.items()}
        return {"train": self.train.summary() if has_trained else None, "tests": tests}

    @property
    def skipped_clips(self) -> list[str]:
        """`"path: missing"` of the clips that are not on disk, of all datasets; see `VideoDataModule.skipped_clips`."""
        return list(dict.fromkeys(clip for data in self.members for clip in data.skipped_clips))

    @property
    def members(self) -> list[VideoDataModule]:
        """All datasets, the one to train on first."""
        return [*([self.train] if self.train is not None else []), *self.tests.values()]

    def _check_options(self) -> None:
        self.options.check()
        for data in self.members:
            data.check_options()
        if self.train is not None and self._given[0].augmentation not in (Augmentation(), self.train.augmentation):
            raise DataError("The suite and data.train have different augmentations; set one, with --data.augmentation.")
        for data in self._given:
            for field in fields(ClipOptions):
                own, common = getattr(data.options, field.name), getattr(self.options, field.name)
                # A parsed configuration has every default filled in, so that a default counts as "not set".
                if own not in (field.default, common):
                    raise DataError(
                        f"{data.name} has {field.name} {own}, but the suite {common}; "
                        f"set it once, with --data.{field.name}."
                    )
