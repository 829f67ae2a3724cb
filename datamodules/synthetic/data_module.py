"""Films of the generated world as tensors: drawn on the device, so that nothing is decoded and nothing waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from datamodules.options import ClipOptions, check_choice, check_positive
from datamodules.splits.request import SplitRequest
from datamodules.splits.split import EvaluationSet
from datamodules.synthetic.actions import GROUPS, SEEN, UNSEEN, Action, Group
from datamodules.synthetic.drawing import Frames, draw_frames
from datamodules.synthetic.films import LENGTH, Film, draw_film, stack_frames
from datamodules.transforms.augmentation import normalize
from datamodules.video.batch import PADDING_LABEL, VideoBatch
from datamodules.video.frame_sampling import FrameSampler
from datamodules.video.samplers import EvaluationSampler, SampleKey, TrainingSampler, clip_seed

Setting = Literal["standard", "base_to_novel", "zero_shot"]
TEST_NUMBERS = 1_000_000
"""Number of the first test film of an action; training films count from 0."""


@dataclass
class FilmBatch:
    """A batch of B clips that are still to be drawn.

    Attributes:
        frames: Parameters of B * V * T frames.
        shape: (V, T).
        label: (B,) class ids, `PADDING_LABEL` for entries that only pad.
        video_id: B names.
        seed: (B,) seeds of the clips.
    """

    frames: Frames
    shape: tuple[int, int]
    label: torch.Tensor
    video_id: list[str]
    seed: torch.Tensor

    def to(self, device: torch.device | str, non_blocking: bool = True) -> FilmBatch:
        """Return the batch on `device`."""
        label = self.label.to(device, non_blocking=non_blocking)
        return replace(self, frames=self.frames.to(device, non_blocking), label=label)

    def draw(self, size: int) -> torch.Tensor:
        """Return (B, V, T, 3, size, size) uint8."""
        return draw_frames(self.frames, size).unflatten(0, (-1, *self.shape))


class FilmDataset(Dataset):
    """Films of some actions, equally many of each.

    Args:
        actions: Their position is the label.
        numbers: Numbers of the films of each action.
        sample_frames: Chooses the frames of each view.
        world_seed: Seed of the world.
        seed: Seed of the frame sampling.
        candidates: Names of the classes, if the actions are only some of them.
    """

    def __init__(
        self,
        actions: Sequence[Action],
        numbers: Sequence[int],
        sample_frames: FrameSampler,
        world_seed: int,
        seed: int,
        candidates: Sequence[str] | None = None,
    ) -> None:
        names = candidates or [action.name for action in actions]
        label_of = {name: label for label, name in enumerate(names)}
        self.labels = [label_of[action.name] for action in actions for _ in numbers]
        self.video_ids = [f"{action.name.replace(' ', '_')}/{number}" for action in actions for number in numbers]
        self.films: list[Film] = [draw_film(action, world_seed, number) for action in actions for number in numbers]
        self.sample_frames, self.seed = sample_frames, seed

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, key: SampleKey | int) -> tuple[Film, np.ndarray, int, str, int]:
        """Return film, (V, T) frames, label, name and seed."""
        key = SampleKey(0, key) if isinstance(key, int) else key
        seed = clip_seed(self.seed, key.epoch, key.index)
        frames = self.sample_frames(LENGTH, np.random.default_rng(seed))
        label = PADDING_LABEL if key.is_padding else self.labels[key.index]
        return self.films[key.index], frames, label, self.video_ids[key.index], seed


def collate_films(clips: list[tuple[Film, np.ndarray, int, str, int]]) -> FilmBatch:
    """Collect clips into a batch."""
    films, indices, labels, video_ids, seeds = zip(*clips, strict=True)
    frames = stack_frames(films, np.stack([chosen.ravel() for chosen in indices]))
    return FilmBatch(frames, indices[0].shape, torch.tensor(labels), list(video_ids), torch.tensor(seeds))


class SyntheticDataModule(LightningDataModule):
    """The generated world, drawn while training: no files, no crops, no augmentation.

    It tests the groups static, relational and order apart, each among the names of all actions, so that a report has a
    column for each. `datamodules.write_synthetic_dataset` writes the same films as video files.

    Args:
        setting: `standard` (train and test the 36 seen actions), `zero_shot` (test the 36 unseen ones too), or
            `base_to_novel` (train on the base half of the seen ones, test on both halves).
        groups: Groups of actions to train and test on.
        num_shots: Training films per action; None for `train_films`.
        train_films: Training films per action that there are.
        test_films: Test films per action.
        split: Number of the split, from 1: each has other training and test films.
        world_seed: Seed of the world.
        **options: The fields of `ClipOptions`; decoders, workers and pixels of files have no meaning here.

    Raises:
        DataError: As `setup`: an option has a wrong value.
    """

    name = "synthetic"

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

    # What commands and the model ask for

    @property
    def requests(self) -> list[SplitRequest]:
        """The splits to read from files: none."""
        return []

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
        """Draw the parameters of all films, a fifth of a millisecond each."""
        self._check()
        if stage in ("fit", None) and "train" not in self.datasets:
            self.datasets["train"] = self._films(
                self._trained, self._training_numbers(), FrameSampler("random", self.options.num_frames)
            )
        if not self.test_sets:
            sampler = FrameSampler("center", self.options.num_frames, self.options.num_temporal_views)
            first = TEST_NUMBERS * self.split
            numbers = range(first, first + self.test_films)
            for test_set, actions in self._tests():
                self.datasets[test_set.name] = self._films(actions, numbers, sampler, test_set.class_names)
                self.test_sets.append(test_set)
            self.datasets["val"] = self._films(self._trained, numbers[:8], sampler)

    def train_dataloader(self) -> DataLoader:
        """Return a loader of the shuffled training films, one view each."""
        options, (rank, world) = self.options, self._process()
        step = options.global_batch_size or options.batch_size * world
        remainder = step if options.remainder == "drop" else None
        dataset = self.datasets["train"]
        sampler = TrainingSampler(len(dataset), options.batch_size, options.seed, rank, world, remainder)
        return self._loader(dataset, sampler)

    def val_dataloader(self) -> DataLoader:
        """Return a loader of eight test films of every action trained on."""
        return self._test_loader("val")

    def test_dataloader(self) -> list[DataLoader]:
        """Return a loader for each of `test_sets`."""
        return [self._test_loader(test_set.name) for test_set in self.test_sets]

    def predict_dataloader(self) -> DataLoader:
        """Return a loader of the first of `test_sets`."""
        return self._test_loader(self.test_sets[0].name)

    def on_after_batch_transfer(self, batch: FilmBatch, dataloader_idx: int) -> VideoBatch:
        """Draw the frames on the device, and normalize them."""
        video = normalize(batch.draw(self.options.image_size), self.options.mean, self.options.std)
        return VideoBatch(video, batch.label, batch.video_id, batch.seed)

    def summary(self) -> dict[str, Any]:
        """Return what a report records about the data."""
        return {
            "dataset": self.name,
            "setting": self.setting,
            "split": self.split,
            "num_classes": self.num_classes,
            "num_shots": self.num_shots,
            "seed": self.options.seed,
            "num_frames": self.options.num_frames,
            "views": {"temporal": self.options.num_temporal_views, "spatial": 1, "frame_sampling": "center"},
            "splits": {},
        }

    # Actions and films

    @property
    def _trained(self) -> list[Action]:
        in_groups = [action for action in SEEN if action.group in self.groups]
        return [a for a in in_groups if not a.is_novel] if self.setting == "base_to_novel" else in_groups

    def _tests(self) -> list[tuple[EvaluationSet, list[Action]]]:
        """Return the test sets and the actions of each; candidates are the names of all actions of its kind."""
        if self.setting == "base_to_novel":
            novel = [action for action in SEEN if action.group in self.groups and action.is_novel]
            halves = {"base": self._trained, "novel": novel}
            return [(EvaluationSet(self.name, h, [a.name for a in actions]), actions) for h, actions in halves.items()]
        kinds = {self.name: SEEN, **({"synthetic_unseen": UNSEEN} if self.setting == "zero_shot" else {})}
        tests = []
        for dataset, actions in kinds.items():
            chosen = [action for action in actions if action.group in self.groups]
            names = [action.name for action in chosen]
            for group in self.groups:
                tests.append((EvaluationSet(dataset, group, names), [a for a in chosen if a.group == group]))
        return tests

    def _training_numbers(self) -> list[int]:
        """Return the numbers of the training films of an action: K of them drawn by the seed of the data."""
        first = TEST_NUMBERS * self.split - TEST_NUMBERS
        if self.num_shots is None:
            return list(range(first, first + self.train_films))
        rng = np.random.default_rng([self.options.seed, self.split])
        return sorted((first + rng.choice(self.train_films, self.num_shots, replace=False)).tolist())

    def _films(
        self,
        actions: Sequence[Action],
        numbers: Sequence[int],
        sampler: FrameSampler,
        names: Sequence[str] | None = None,
    ) -> FilmDataset:
        return FilmDataset(actions, numbers, sampler, self.world_seed, self.options.seed, names)

    def _test_loader(self, name: str) -> DataLoader:
        dataset = self.datasets[name]
        return self._loader(dataset, EvaluationSampler(len(dataset), *self._process()))

    def _loader(self, dataset: FilmDataset, sampler: Any) -> DataLoader:
        return DataLoader(
            dataset, self.options.batch_size, sampler=sampler, collate_fn=collate_films, generator=torch.Generator()
        )

    def _process(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _check(self) -> None:
        self.options.check()
        check_positive(
            num_shots=self.num_shots, train_films=self.train_films, test_films=self.test_films, split=self.split
        )
        for group in self.groups:
            check_choice("groups", group, GROUPS)
