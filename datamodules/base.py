"""The data module on which every data set stands: splits, loaders, and what is done to a batch on its device."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Sampler

from datamodules.batch import Clip, VideoBatch, collate_evaluation_clips, collate_training_clips
from datamodules.class_names import split_underscores
from datamodules.decoding import DECODERS
from datamodules.file_check import check_heads
from datamodules.frame_sampling import FRAME_SAMPLINGS, FrameSampler
from datamodules.published import PublishedFiles
from datamodules.root_index import RootIndex
from datamodules.samplers import EvaluationSampler, TrainingSampler
from datamodules.settings import check_choice, check_positive
from datamodules.split_finder import SplitFinder
from datamodules.splits import Annotations, Split, TestSet, VideoRecord, find_records
from datamodules.transforms.augmentation import Augmentation, augment_clips, build_clip_augmentation, normalise
from datamodules.transforms.mixing import build_mixers, mix_pairs
from datamodules.transforms.spatial import EVALUATION_CROPS, build_evaluation_crop, build_training_crop
from datamodules.video_dataset import ON_BAD_VIDEO, Transform, VideoDataset

MAX_DEFAULT_WORKERS = 8


class VideoDataModule(LightningDataModule):
    """Videos with labels, for training, validation, test and prediction.

    A data set is a subclass of a few attributes: `name`, `published` (where its published lists lie), `flips` (may its
    clips be mirrored), `to_words` (how its classes are spelt), and `read_annotations`, which reads its own annotations.

    Args:
        root: Directory of the videos; any layout, nothing has to be moved.
        splits_dir: A copy of the published list and label files. Without it, the data set's own annotations under
            `root` say which clip is in which split.
        label_file: A `.csv` or `.json` with other names for the classes, in the same order.
        num_shots: Training clips for each class; None takes the whole training split.
        split: Number of the split, where the data set has several.
        num_frames: Frames T of a view.
        image_size: Side of the square frames in pixels.
        batch_size: Videos in a batch of one device.
        global_batch_size: Videos that make up one optimizer step, over devices and accumulation. The trainer's side
            derives the accumulation from it; None means no accumulation.
        num_workers: Processes that decode. None shares the cores of this machine out among the devices, at most 8 each.
        worker_timeout: Seconds after which a batch that does not come stops the run (a decoder may hang); 0: never.
        decoder: What reads the files. `auto` is `pyav`: right frames from every container.
        on_bad_video: What an unreadable clip does: stop the run, or be left out and reported in `VideoBatch.skipped`.
        num_temporal_views: Views in time for each test video.
        num_spatial_views: Crops for each of them, 1 (centre) or 3.
        frame_sampling: Frames of an evaluation view: fixed ones, or `random` as the released TC-CLIP code has it.
        augmentation: How training clips are varied.
        horizontal_flip: Whether training clips are mirrored; None leaves it to the data set.
        mean: Subtracted from red, green and blue (0..255). The default is what TC-CLIP's checkpoints were trained with.
        std: They are divided by this.
        seed: Seed of the order of the clips, of every random draw and of the K-shot draw.
    """

    name: ClassVar[str]
    published: ClassVar[PublishedFiles]
    flips: ClassVar[bool] = True
    to_words: ClassVar[Callable[[str], str]] = staticmethod(split_underscores)

    def __init__(
        self,
        root: str,
        splits_dir: str | None = None,
        label_file: str | None = None,
        num_shots: int | None = None,
        split: int = 1,
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
        frame_sampling: Literal["centre", "random"] = "centre",
        augmentation: Augmentation = Augmentation(),  # noqa: B008 (frozen)
        horizontal_flip: bool | None = None,
        mean: tuple[float, float, float] = (123.675, 116.28, 103.53),
        std: tuple[float, float, float] = (58.395, 57.12, 57.375),
        seed: int = 1024,
    ) -> None:
        super().__init__()
        self.root = Path(root).expanduser()
        self.num_shots, self.split, self.seed = num_shots, split, seed
        self.num_frames, self.image_size = num_frames, image_size
        self.batch_size, self.global_batch_size = batch_size, global_batch_size
        self.num_workers, self.worker_timeout = num_workers, worker_timeout
        self.decoder, self.on_bad_video = decoder, on_bad_video
        self.num_temporal_views, self.num_spatial_views = num_temporal_views, num_spatial_views
        self.frame_sampling, self.augmentation = frame_sampling, augmentation
        self.horizontal_flip = self.flips if horizontal_flip is None else horizontal_flip
        self.mean, self.std = mean, std
        lists, labels = (Path(path).expanduser() if path else None for path in (splits_dir, label_file))
        self.split_finder = SplitFinder(
            self.published, self.read_annotations, self.to_words, self.root, lists, labels, split
        )
        self.splits: dict[str, Split] = {}
        self.datasets: dict[str, VideoDataset] = {}
        self.test_sets: list[TestSet] = []

    @staticmethod
    def read_annotations(index: RootIndex, split: int) -> Annotations:
        """Reads the data set's own annotations; each data set has its own way.

        Args:
            index: The files under the root.
            split: Number of the split.
        """
        raise NotImplementedError

    @property
    def class_names(self) -> list[str]:
        """Y class names in words; the position is the label."""
        return self.split_finder.class_names

    @property
    def num_classes(self) -> int:
        """Number Y of classes."""
        return len(self.class_names)

    def setup(self, stage: str | None = None) -> None:
        """Reads splits and class names and finds every clip on disk, without decoding one.

        Args:
            stage: `fit`, `validate`, `test` or `predict`; None prepares all.

        Raises:
            DataError: Something about the data is wrong; the sentence says what, where and what to do.
        """
        self._check_settings()
        self.test_sets = [TestSet(f"{self.name}/split{self.split}", self.class_names)]
        if stage in ("fit", None) and "train" not in self.datasets:
            records = self._find("train", self.split_finder.training_split(self.num_shots, self.seed))
            frames = FrameSampler("random", self.num_frames)
            self.datasets["train"] = self._dataset(records, frames, build_training_crop(self.image_size))
        if "test" not in self.datasets:
            records = self._find("test", self.split_finder.test_split())
            centre, crop = FrameSampler("centre", self.num_frames), build_evaluation_crop(self.image_size, 1)
            views = FrameSampler(self.frame_sampling, self.num_frames, self.num_temporal_views)
            crops = build_evaluation_crop(self.image_size, self.num_spatial_views)
            self.datasets["val"] = self._dataset(records, centre, crop)
            self.datasets["test"] = self._dataset(records, views, crops)

    def train_dataloader(self) -> DataLoader[VideoBatch]:
        """Returns the shuffled training clips, one view each."""
        dataset = self.datasets["train"]
        sampler = TrainingSampler(len(dataset), self.batch_size, self.seed, *self._process())
        return self._loader(dataset, sampler, collate_training_clips)

    def val_dataloader(self) -> DataLoader[VideoBatch]:
        """Returns the evaluation split with a single centre view."""
        return self._evaluation_loader("val")

    def test_dataloader(self) -> DataLoader[VideoBatch]:
        """Returns the evaluation split with all views."""
        return self._evaluation_loader("test")

    def predict_dataloader(self) -> DataLoader[VideoBatch]:
        """Returns the evaluation split with all views."""
        return self._evaluation_loader("test")

    def on_after_batch_transfer(self, batch: VideoBatch, dataloader_idx: int) -> VideoBatch:
        """Makes float videos of a batch on its device: augmented in training, normalised always."""
        if self.trainer is not None and self.trainer.training and len(batch.label):
            return self.augment(batch)
        return replace(batch, video=normalise(batch.video, self.mean, self.std))

    def augment(self, batch: VideoBatch) -> VideoBatch:
        """Flips, recolours, normalises and mixes the clips of a training batch, by draws from their seeds alone."""
        settings = self.augmentation
        changed = build_clip_augmentation(settings, self.horizontal_flip)
        video = normalise(augment_clips(batch.video.squeeze(1), batch.seed, changed), self.mean, self.std)
        label, mixers = batch.label, build_mixers(settings.mixup_alpha, settings.cutmix_alpha, self.num_classes)
        if mixers:
            video, label = mix_pairs(video, label, batch.seed, mixers, settings.mix_probability, self.num_classes)
        return replace(batch, video=video.unsqueeze(1), label=label)  # (B, T, 3, H, W) -> (B, 1, T, 3, H, W)

    def summary(self) -> dict[str, Any]:
        """Returns what a report must say of the data, once `setup` has run."""
        views = {"temporal": self.num_temporal_views, "spatial": self.num_spatial_views}
        return {
            "dataset": self.name,
            "split": self.split,
            "num_classes": self.num_classes,
            "num_shots": self.num_shots,
            "seed": self.seed,
            "num_frames": self.num_frames,
            "views": views | {"frame_sampling": self.frame_sampling},
            "splits": {part: split.summary() for part, split in self.splits.items()},
        }

    def _check_settings(self) -> None:
        counts = ("num_shots", "num_frames", "image_size", "batch_size", "num_temporal_views")
        check_positive(**{name: getattr(self, name) for name in counts})
        check_choice("decoder", self.decoder, DECODERS)
        check_choice("on_bad_video", self.on_bad_video, ON_BAD_VIDEO)
        check_choice("frame_sampling", self.frame_sampling, FRAME_SAMPLINGS)
        check_choice("num_spatial_views", self.num_spatial_views, EVALUATION_CROPS)

    def _find(self, part: str, split: Split) -> list[VideoRecord]:
        self.splits[part] = split
        records = find_records(split, self.root)
        if self.on_bad_video == "raise":
            check_heads(records)
        return records

    def _dataset(self, records: list[VideoRecord], frames: FrameSampler, crop: Transform) -> VideoDataset:
        return VideoDataset(records, frames, crop, self.seed, self.decoder, self.on_bad_video)

    def _evaluation_loader(self, part: str) -> DataLoader[VideoBatch]:
        dataset = self.datasets[part]
        return self._loader(dataset, EvaluationSampler(len(dataset), *self._process()), collate_evaluation_clips)

    def _loader(
        self, dataset: VideoDataset, sampler: Sampler[Any], collate: Callable[[list[Clip]], VideoBatch]
    ) -> DataLoader[VideoBatch]:
        workers = self._count_workers()
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=sampler,
            collate_fn=collate,
            num_workers=workers,
            timeout=self.worker_timeout if workers else 0,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # its own, so that making a loader leaves the global draws alone
        )

    def _count_workers(self) -> int:
        if self.num_workers is not None:
            return self.num_workers
        processes = getattr(self.trainer, "num_devices", 1)
        return min(MAX_DEFAULT_WORKERS, (os.cpu_count() or 1) // processes)

    def _process(self) -> tuple[int, int]:
        """Returns the number of this process and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)
