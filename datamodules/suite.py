"""Trains on one dataset and tests on several, each with its own splits and class names, in one run."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from datamodules.base import VideoDataModule
from datamodules.errors import DataError
from datamodules.splits.split import TestSet
from datamodules.video.batch import VideoBatch

# Settings that all datasets of a suite have in common.
SHARED = (
    "num_frames",
    "image_size",
    "batch_size",
    "num_workers",
    "worker_timeout",
    "decoder",
    "on_bad_video",
    "num_temporal_views",
    "num_spatial_views",
    "frame_sampling",
    "mean",
    "std",
    "seed",
)


class EvaluationSuite(LightningDataModule):
    """One dataset to train on, several to test on.

    Training, validation and their class names are those of `train`; the test run reads every test set of `tests`, whose
    class names differ: see `test_sets`. What the datasets have in common is said once, here.

    Args:
        tests: The datasets to test on, by any names; `--data.tests.<name>.root` changes the root of one.
        train: The dataset to train on; not needed, nor looked at, by a test alone.
        splits_dir: As in `VideoDataModule`, for those that are given none of their own.
        num_frames: As in `VideoDataModule`, here and below.
        image_size: Side of the square frames in pixels.
        batch_size: Videos in a batch of one device.
        global_batch_size: Videos that make up one optimizer step.
        num_workers: Processes that decode, for each loader.
        worker_timeout: Seconds after which a batch that does not come stops the run.
        decoder: What reads the files.
        on_bad_video: What an unreadable clip does.
        num_temporal_views: Views in time for each test video.
        num_spatial_views: Crops for each of them.
        frame_sampling: Frames of an evaluation view.
        mean: Subtracted from red, green and blue.
        std: They are divided by this.
        seed: Seed of every draw.
    """

    def __init__(
        self,
        tests: dict[str, VideoDataModule],
        train: VideoDataModule | None = None,
        splits_dir: str | None = None,
        num_frames: int = 16,
        image_size: int = 224,
        batch_size: int = 8,
        global_batch_size: int | None = None,
        num_workers: int | None = None,
        worker_timeout: int = 600,
        decoder: Literal["auto", "pyav", "decord"] = "auto",
        on_bad_video: Literal["raise", "skip"] = "raise",
        num_temporal_views: int = 2,
        num_spatial_views: Literal[1, 3] = 1,
        frame_sampling: Literal["center", "random"] = "center",
        mean: tuple[float, float, float] = (123.675, 116.28, 103.53),
        std: tuple[float, float, float] = (58.395, 57.12, 57.375),
        seed: int = 1024,
    ) -> None:
        super().__init__()
        self.tests, self.train = tests, train
        self.batch_size, self.global_batch_size, self.num_frames = batch_size, global_batch_size, num_frames
        self.test_sets: list[TestSet] = []
        self._is_training = train is not None
        given = locals()
        self._share({name: given[name] for name in SHARED}, Path(splits_dir).expanduser() if splits_dir else None)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes trained on, or, in a test, of those of the first test set."""
        return self.train.class_names if self._is_training else self.test_sets[0].class_names

    @property
    def num_classes(self) -> int:
        """Number of classes trained on, or of those of the first test set."""
        return len(self.class_names)

    def setup(self, stage: str | None = None) -> None:
        """Prepares what the stage needs; before training, the tests that follow it too.

        Args:
            stage: `fit`, `validate`, `test` or `predict`; None prepares all there is.

        Raises:
            DataError: Something about the data is wrong, nothing is there to train on, or two tests have one name.
        """
        for data in self._data_sets():
            data.trainer = self.trainer
        self._is_training = stage in ("fit", "validate") or (stage is None and self.train is not None)
        if self._is_training:
            if self.train is None:
                raise DataError("This suite has nothing to train on; give --data.train, or use `tcclip test`.")
            self.train.setup(stage)
        for data in self.tests.values():
            data.setup("test")
        self.test_sets = [entry for data in self.tests.values() for entry in data.test_sets]
        names = [entry.name for entry in self.test_sets]
        if not names or len(set(names)) < len(names):
            raise DataError(f"A suite needs test sets of different names, but has {', '.join(names) or 'none'}.")

    def train_dataloader(self) -> DataLoader[VideoBatch]:
        """Returns the training clips of `train`."""
        return self.train.train_dataloader()

    def val_dataloader(self) -> DataLoader[VideoBatch]:
        """Returns the evaluation split of `train`."""
        return self.train.val_dataloader()

    def test_dataloader(self) -> list[DataLoader[VideoBatch]]:
        """Returns a loader for each of `test_sets`."""
        loaders = []
        for data in self.tests.values():
            made = data.test_dataloader()
            loaders += made if isinstance(made, list) else [made]
        return loaders

    def predict_dataloader(self) -> DataLoader[VideoBatch]:
        """Returns the first of `test_sets`."""
        return next(iter(self.tests.values())).predict_dataloader()

    def on_after_batch_transfer(self, batch: VideoBatch, dataloader_idx: int) -> VideoBatch:
        """Does what `train` does in training and validation, and the normalization that is common to all in a test."""
        return next(self._data_sets()).on_after_batch_transfer(batch, dataloader_idx)

    def summary(self) -> dict[str, Any]:
        """Returns what a report must say of the data, once `setup` has run."""
        tests = {name: data.summary() for name, data in self.tests.items()}
        return {"train": self.train.summary() if self._is_training else None, "tests": tests}

    def _data_sets(self) -> Iterator[VideoDataModule]:
        """Goes through all datasets, the one to train on first."""
        if self.train is not None:
            yield self.train
        yield from self.tests.values()

    def _share(self, settings: dict[str, Any], splits_dir: Path | None) -> None:
        """Hands the common settings on.

        Raises:
            DataError: A dataset was given another value.
        """
        signature = inspect.signature(VideoDataModule.__init__).parameters
        for data in self._data_sets():
            for name, value in settings.items():
                if getattr(data, name) not in (signature[name].default, value):
                    raise DataError(
                        f"{data.name} has the {name} {getattr(data, name)}, the suite {value}; "
                        f"say it once, by --data.{name}."
                    )
                setattr(data, name, value)
            data.splits_dir = data.splits_dir or splits_dir
