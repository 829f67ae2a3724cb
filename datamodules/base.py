"""The data module on which every dataset stands: splits, loaders, and what is done to a batch on its device."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Sampler

from datamodules.errors import DataError
from datamodules.options import check_settings
from datamodules.splits.class_names import split_underscores
from datamodules.splits.lookup import RootIndex
from datamodules.splits.protocols import build_finders, build_test_finders, find_training_split
from datamodules.splits.published import Parts, PublishedFiles
from datamodules.splits.records import find_checked_records
from datamodules.splits.source import SplitFinder
from datamodules.splits.split import Annotations, Split, TestSet, VideoRecord
from datamodules.transforms.augmentation import Augmentation, augment_clips, build_clip_augmentation, normalize
from datamodules.transforms.mixing import build_mixers, mix_pairs
from datamodules.transforms.spatial import build_evaluation_crop, build_training_crop
from datamodules.video.batch import Clip, VideoBatch, collate_evaluation_clips, collate_training_clips
from datamodules.video.dataset import Transform, VideoDataset
from datamodules.video.frame_sampling import FrameSampler
from datamodules.video.loaders import build_loader, default_workers
from datamodules.video.samplers import EvaluationSampler, TrainingSampler


class VideoDataModule(LightningDataModule):
    """Videos with labels, for training, validation, test and prediction.

    A dataset is a subclass of a few attributes: `name`, `published` (where its published lists lie), `other_settings`
    (and those of base and novel classes and the like), `test_name` (what its test clips are called), `flips` (may its
    clips be mirrored), `to_words` (how its classes are spelt), and `read_annotations`, which reads its own annotations.

    Args:
        root: Directory of the videos; any layout, nothing has to be moved.
        splits_dir: A copy of the published list and label files. Without it, the dataset's own annotations under
            `root` say which clip is in which split.
        setting: Which classes and lists: `standard` (all), `base_to_novel` (trained on the base half, tested on both
            halves, labels from 0 in each), or, where published, `zero_shot`, `temporal` and `static` parts.
        label_file: A `.csv` or `.json` with other names for the classes, in the same order. Where the setting has a
            part of the classes, it names that part or all; `{part}` and `{split}` in it stand for `base` or `novel`,
            and the number of the split.
        num_shots: Training clips for each class; None takes the whole training split.
        split: Number of the split, where the dataset has several; of the training list in `base_to_novel`.
        test_splits: Numbers of the splits to test, where nothing is trained; None tests `split`.
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
        num_spatial_views: Crops for each of them, 1 (center) or 3.
        frame_sampling: Frames of an evaluation view: fixed ones, or `random` as the released TC-CLIP code has it.
        augmentation: How training clips are varied.
        horizontal_flip: Whether training clips are mirrored; None leaves it to the dataset.
        mean: Subtracted from red, green and blue (0..255). The default is what TC-CLIP's checkpoints were trained with.
        std: They are divided by this.
        seed: Seed of the order of the clips, of every random draw and of the K-shot draw.
    """

    name: ClassVar[str]
    published: ClassVar[PublishedFiles]
    other_settings: ClassVar[Mapping[str, Parts]] = {}
    test_name: ClassVar[str] = "split{split}"
    flips: ClassVar[bool] = True
    to_words: ClassVar[Callable[[str], str]] = staticmethod(split_underscores)

    def __init__(
        self,
        root: str,
        splits_dir: str | None = None,
        setting: Literal["standard", "base_to_novel", "zero_shot", "temporal", "static"] = "standard",
        label_file: str | None = None,
        num_shots: int | None = None,
        split: int = 1,
        test_splits: list[int] | None = None,
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
        augmentation: Augmentation = Augmentation(),  # noqa: B008 (frozen)
        horizontal_flip: bool | None = None,
        mean: tuple[float, float, float] = (123.675, 116.28, 103.53),
        std: tuple[float, float, float] = (58.395, 57.12, 57.375),
        seed: int = 1024,
    ) -> None:
        super().__init__()
        self.root = Path(root).expanduser()
        self.splits_dir = Path(splits_dir).expanduser() if splits_dir else None
        self.label_file = Path(label_file).expanduser() if label_file else None
        self.setting, self.split, self.test_splits = setting, split, test_splits
        self.num_shots, self.seed = num_shots, seed
        self.num_frames, self.image_size = num_frames, image_size
        self.batch_size, self.global_batch_size = batch_size, global_batch_size
        self.num_workers, self.worker_timeout = num_workers, worker_timeout
        self.decoder, self.on_bad_video = decoder, on_bad_video
        self.num_temporal_views, self.num_spatial_views = num_temporal_views, num_spatial_views
        self.frame_sampling, self.augmentation = frame_sampling, augmentation
        self.horizontal_flip = self.flips if horizontal_flip is None else horizontal_flip
        self.mean, self.std = mean, std
        self._finders: dict[int, dict[str, SplitFinder]] = {}
        self.splits: dict[str, Split] = {}
        self.datasets: dict[str, VideoDataset] = {}
        self.test_datasets: list[VideoDataset] = []
        self.test_sets: list[TestSet] = []

    def read_annotations(self, index: RootIndex, split: int) -> Annotations:
        """Reads the dataset's own annotations; each dataset has its own way.

        Args:
            index: The files under the root.
            split: Number of the split.
        """
        raise DataError(f"{type(self).__name__} reads no annotations of its own: give --data.splits_dir.")

    def finders(self, split: int) -> dict[str, SplitFinder]:
        """Returns what finds the lists of each test set of a split, by its name; training takes the first one's."""
        if split not in self._finders:
            self._finders[split] = build_finders(self, split)
        return self._finders[split]

    @property
    def split_finder(self) -> SplitFinder:
        """What finds the training clips, and names their classes."""
        return next(iter(self.finders(self.split).values()))

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
        check_settings(self)
        if stage in ("fit", None) and "train" not in self.datasets:
            records = self._find("train", find_training_split(self), self.split_finder)
            frames = FrameSampler("random", self.num_frames)
            self.datasets["train"] = self._dataset(records, frames, build_training_crop(self.image_size))
        if not self.test_sets:
            for name, finder in build_test_finders(self).items():
                self._add_test_set(name, finder)

    def train_dataloader(self) -> DataLoader[VideoBatch]:
        """Returns the shuffled training clips, one view each."""
        dataset = self.datasets["train"]
        sampler = TrainingSampler(len(dataset), self.batch_size, self.seed, *self._process())
        return self._loader(dataset, sampler, collate_training_clips)

    def val_dataloader(self) -> DataLoader[VideoBatch]:
        """Returns the first of `test_sets` with a single center view."""
        return self._evaluation_loader(self.datasets["val"])

    def test_dataloader(self) -> DataLoader[VideoBatch] | list[DataLoader[VideoBatch]]:
        """Returns each of `test_sets` with all views: a loader for each, or the only one by itself."""
        loaders = [self._evaluation_loader(dataset) for dataset in self.test_datasets]
        return loaders if len(loaders) > 1 else loaders[0]

    def predict_dataloader(self) -> DataLoader[VideoBatch]:
        """Returns the first of `test_sets` with all views."""
        return self._evaluation_loader(self.test_datasets[0])

    def on_after_batch_transfer(self, batch: VideoBatch, dataloader_idx: int) -> VideoBatch:
        """Makes float videos of a batch on its device: augmented in training, normalized always."""
        if self.trainer is not None and self.trainer.training and len(batch.label):
            return self.augment(batch)
        return replace(batch, video=normalize(batch.video, self.mean, self.std))

    def augment(self, batch: VideoBatch) -> VideoBatch:
        """Flips, recolors, normalizes and mixes the clips of a training batch, by draws from their seeds alone."""
        settings = self.augmentation
        changed = build_clip_augmentation(settings, self.horizontal_flip)
        video = normalize(augment_clips(batch.video.squeeze(1), batch.seed, changed), self.mean, self.std)
        label, mixers = batch.label, build_mixers(settings.mixup_alpha, settings.cutmix_alpha, self.num_classes)
        if mixers:
            video, label = mix_pairs(video, label, batch.seed, mixers, settings.mix_probability, self.num_classes)
        return replace(batch, video=video.unsqueeze(1), label=label)  # (B, T, 3, H, W) -> (B, 1, T, 3, H, W)

    def summary(self) -> dict[str, Any]:
        """Returns what a report must say of the data, once `setup` has run."""
        views = {"temporal": self.num_temporal_views, "spatial": self.num_spatial_views}
        return {
            "dataset": self.name,
            "setting": self.setting,
            "split": self.split,
            "num_classes": self.num_classes,
            "num_shots": self.num_shots,
            "seed": self.seed,
            "num_frames": self.num_frames,
            "views": views | {"frame_sampling": self.frame_sampling},
            "splits": {part: split.summary() for part, split in self.splits.items()},
        }

    def _find(self, name: str, split: Split, finder: SplitFinder) -> list[VideoRecord]:
        self.splits[name] = split
        return find_checked_records(split, self.root, finder.label_order, skip_bad=self.on_bad_video == "skip")

    def _add_test_set(self, name: str, finder: SplitFinder) -> None:
        records = self._find(name, finder.test_split(), finder)
        views = FrameSampler(self.frame_sampling, self.num_frames, self.num_temporal_views)
        crops = build_evaluation_crop(self.image_size, self.num_spatial_views)
        self.test_datasets.append(self._dataset(records, views, crops))
        if not self.test_sets:
            center, crop = FrameSampler("center", self.num_frames), build_evaluation_crop(self.image_size, 1)
            self.datasets["val"] = self._dataset(records, center, crop)
        self.test_sets.append(TestSet(name, finder.class_names))

    def _dataset(self, records: list[VideoRecord], frames: FrameSampler, crop: Transform) -> VideoDataset:
        return VideoDataset(records, frames, crop, self.seed, self.decoder, self.on_bad_video)

    def _evaluation_loader(self, dataset: VideoDataset) -> DataLoader[VideoBatch]:
        return self._loader(dataset, EvaluationSampler(len(dataset), *self._process()), collate_evaluation_clips)

    def _loader(
        self, dataset: VideoDataset, sampler: Sampler[Any], collate: Callable[[list[Clip]], VideoBatch]
    ) -> DataLoader[VideoBatch]:
        devices = getattr(self.trainer, "num_devices", 1)
        workers = default_workers(devices) if self.num_workers is None else self.num_workers
        return build_loader(dataset, sampler, collate, self.batch_size, workers, self.worker_timeout)

    def _process(self) -> tuple[int, int]:
        """Returns the number of this process and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)
