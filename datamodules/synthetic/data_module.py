"""Films of the generated world as tensors: drawn on the device, so that nothing is decoded and nothing waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Sampler

from datamodules.errors import DataError
from datamodules.options import ClipOptions, check_choice, check_positive
from datamodules.splits.protocols import BASE_TO_NOVEL, Setting
from datamodules.splits.request import SplitRequest
from datamodules.splits.split import EvaluationSet
from datamodules.synthetic.actions import GROUPS, Action, Group
from datamodules.synthetic.film_dataset import FilmBatch, FilmDataset, collate_films
from datamodules.synthetic.film_numbers import SPLITS, check_seed, draw_shots, split_numbers
from datamodules.synthetic.world_parts import NAME, choose_groups, trained_actions, world_tests
from datamodules.transforms.augmentation import normalize
from datamodules.video.batch import VideoBatch
from datamodules.video.frame_sampling import FrameSampler
from datamodules.video.samplers import EvaluationSampler, TrainingSampler

VAL_FILMS = 8
"""Test films per action to validate on."""


class SyntheticDataModule(LightningDataModule):
    """The generated world, drawn while training: no files, no crops, no augmentation.

    It tests the groups static, relational and order apart, each among the names of all actions, so that a report has a
    column for each. `datamodules.write_synthetic_dataset` writes the same films as video files.

    Args:
        setting: `standard` (train and test the 36 seen actions), `zero_shot` (test the 36 unseen ones too),
            `base_to_novel` (train on the base half of the seen ones, test on both halves), `temporal` (only relational
            and order actions), or `static` (only static ones).
        groups: Groups of actions to train and test on.
        num_shots: Training films per action; None for `train_films`.
        train_films: Training films per action that there are.
        test_films: Test films per action.
        split: Number of the split, 1 to 3: each tests other films; in `base_to_novel`, of the K-shot draw.
        world_seed: Seed of the world.
        **options: The fields of `ClipOptions`, by default 8 frames of 64 pixels and one temporal view. `num_workers`,
            `worker_timeout`, `decoder`, `exact_decoding` and `on_bad_video` change nothing, since no file is read.
    """

    name = NAME

    def __init__(
        self,
        setting: Setting = "standard",
        groups: list[Group] = list(GROUPS),  # noqa: B006 (jsonargparse needs the default; nothing changes it)
        num_shots: int | None = None,
        train_films: int = 64,
        test_films: int = 32,
        split: int = 1,
        world_seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        self.options = ClipOptions(**options)
        self.setting, self.groups, self.num_shots = setting, groups, num_shots
        self.train_films, self.test_films, self.split, self.world_seed = train_films, test_films, split, world_seed
        self.datasets: dict[str, FilmDataset] = {}
        self.test_sets: list[EvaluationSet] = []
        self.skipped_clips: list[str] = []  # none can be missing

    @property
    def requests(self) -> list[SplitRequest]:
        """The splits to read from files, which other data modules have.

        Raises:
            DataError: Always, to say that there are none.
        """
        raise DataError(
            f"{type(self).__name__} draws its films, so that there are no files to check or split; "
            "datamodules.write_synthetic_dataset writes some, for SyntheticFilesDataModule."
        )

    request = requests  # what `tcclip split` asks a single dataset for

    @property
    def class_names(self) -> list[str]:
        """Y names of the actions trained on; the position is the label."""
        return [action.name for action in self._trained]

    @property
    def num_classes(self) -> int:
        """Number Y of classes."""
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
        """Draw the parameters of all films, a fifth of a millisecond each.

        Args:
            stage: `fit`, `validate`, `test` or `predict`; None prepares everything.

        Raises:
            DataError: An option has a wrong value.
        """
        self._check()
        # In `base_to_novel`, the split numbers the draws of one set of training films, as in published lists.
        split = 1 if self.setting == BASE_TO_NOVEL else self.split
        train, test = split_numbers(self.train_films, self.test_films, split)
        if stage in ("fit", None) and "train" not in self.datasets:
            if self.num_shots is not None:
                train = draw_shots(train, self.num_shots, self.options.seed, self.split)
            sampler = FrameSampler("random", self.options.num_frames)
            self.datasets["train"] = self._films(self._trained, train, self.class_names, sampler)
        if not self.test_sets:
            self._add_tests(test)

    def train_dataloader(self) -> DataLoader[FilmBatch]:
        """Return a loader of the shuffled training films, one view each."""
        options, (rank, world_size) = self.options, self._process()
        step_size = options.global_batch_size or options.batch_size * world_size
        remainder = step_size if options.remainder == "drop" else None
        dataset = self.datasets["train"]
        sampler = TrainingSampler(len(dataset), options.batch_size, options.seed, rank, world_size, remainder)
        return self._loader(dataset, sampler)

    def val_dataloader(self) -> DataLoader[FilmBatch]:
        """Return a loader of eight test films of every action trained on."""
        return self._test_loader("val")

    def test_dataloader(self) -> list[DataLoader[FilmBatch]]:
        """Return a loader for each of `test_sets`."""
        return [self._test_loader(test_set.name) for test_set in self.test_sets]

    def predict_dataloader(self) -> DataLoader[FilmBatch]:
        """Return a loader of the first of `test_sets`."""
        return self._test_loader(self.test_sets[0].name)

    def on_after_batch_transfer(self, batch: FilmBatch, dataloader_idx: int) -> VideoBatch:
        """Draw the frames on the device, and normalize them."""
        video = normalize(batch.draw(self.options.image_size), self.options.mean, self.options.std)
        return VideoBatch(video, batch.label, batch.video_id, batch.seed)

    def summary(self) -> dict[str, Any]:
        """Return what a report records about the data; call it after `setup`."""
        options = self.options
        return {
            "dataset": self.name,
            "setting": self.setting,
            "split": self.split,
            "num_classes": self.num_classes,
            "num_shots": self.num_shots,
            "seed": options.seed,
            "num_frames": options.num_frames,
            "views": {
                "temporal": options.num_temporal_views,
                "spatial": options.num_spatial_views,
                "frame_sampling": options.frame_sampling,
            },
            "splits": {name: dataset.summary() for name, dataset in self.datasets.items() if name != "val"},
        }

    @property
    def _trained(self) -> list[Action]:
        return trained_actions(self.setting, choose_groups(self.setting, self.groups))

    def _add_tests(self, numbers: Sequence[int]) -> None:
        options = self.options
        center = FrameSampler("center", options.num_frames)
        sampler = FrameSampler(options.frame_sampling, options.num_frames, options.num_temporal_views)
        for test in world_tests(self.setting, choose_groups(self.setting, self.groups)):
            films = self._films(test.actions, numbers, test.test_set.class_names, sampler)
            self.datasets[test.test_set.name] = films
            self.test_sets.append(test.test_set)
        val_sampler = sampler if options.val_views == "test" else center
        self.datasets["val"] = self._films(self._trained, numbers[:VAL_FILMS], self.class_names, val_sampler)

    def _films(
        self, actions: Sequence[Action], numbers: Sequence[int], class_names: Sequence[str], sampler: FrameSampler
    ) -> FilmDataset:
        return FilmDataset(actions, numbers, class_names, sampler, self.world_seed, self.options.seed)

    def _test_loader(self, name: str) -> DataLoader[FilmBatch]:
        dataset = self.datasets[name]
        return self._loader(dataset, EvaluationSampler(len(dataset), *self._process()))

    def _loader(self, dataset: FilmDataset, sampler: Sampler[Any]) -> DataLoader[FilmBatch]:
        # Its own generator: drawing a seed for workers must not shift the model's random numbers.
        generator = torch.Generator()
        return DataLoader(
            dataset, self.options.batch_size, sampler=sampler, collate_fn=collate_films, generator=generator
        )

    def _process(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _check(self) -> None:
        self.options.check()
        check_positive(num_shots=self.num_shots, train_films=self.train_films, test_films=self.test_films)
        check_choice("split", self.split, SPLITS)
        check_choice("setting", self.setting, get_args(Setting))
        check_choice("num_spatial_views", self.options.num_spatial_views, (1,))  # nothing is cropped
        check_seed("--data.world_seed", self.world_seed)
        if self.options.window_seconds is not None:
            raise DataError("--data.window_seconds is set, and generated films have no frame rate: leave it out.")
        for group in self.groups:
            check_choice("groups", group, GROUPS)
