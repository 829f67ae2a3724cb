"""Pictures with captions, drawn while training: no files, nothing decoded, nothing tokenized twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.errors import DataError
from datamodules.options import ClipOptions
from datamodules.synthetic.captions import (
    CAPTIONS_PER_SCENE,
    QUESTIONS,
    Scene,
    answer,
    candidates,
    draw_scene,
)
from datamodules.synthetic.drawing import Frames, draw_frames
from datamodules.synthetic.films import LENGTH, draw_film, stack_frames
from datamodules.transforms.augmentation import normalize
from datamodules.video.batch import PADDING_LABEL
from datamodules.video.samplers import EvaluationSampler, SampleKey, TrainingSampler

Tokenize = Callable[[list[str]], Tensor]
"""N texts -> (N, L) token ids."""
HELD_OUT_NUMBERS = 1_000_000
"""Number of the first held-out film; those to train on count from 0."""


@dataclass
class CaptionBatch:
    """B pictures with a caption each.

    Attributes:
        frames: Parameters of the pictures, which are drawn on the device.
        tokens: (B, L) token ids of the captions.
        answers: (B, Q) the right candidate of each of `QUESTIONS`, -1 where a question does not fit.
        pixels: (B, 3, H, W) float32, normalized; None until drawn.
    """

    frames: Frames
    tokens: Tensor
    answers: Tensor
    pixels: Tensor | None = None

    def to(self, device: torch.device | str, non_blocking: bool = True) -> CaptionBatch:
        """Return the batch on `device`."""
        tokens, answers = (x.to(device, non_blocking=non_blocking) for x in (self.tokens, self.answers))
        return replace(self, frames=self.frames.to(device, non_blocking), tokens=tokens, answers=answers)


class CaptionedPictures(Dataset):
    """Scenes with all their frames; in each epoch, a scene is one of its frames with one of its captions.

    Args:
        count: Number of scenes.
        seed: Seed of the world, of the frames and of the captions.
        part: 0 for scenes to train on, 1 for held-out ones.
        tokenize: Makes token ids of captions.
    """

    def __init__(self, count: int, seed: int, part: int, tokenize: Tokenize) -> None:
        rng = np.random.default_rng([seed, part])
        self.scenes = [draw_scene(rng) for _ in range(count)]
        # Numbers of their own: two scenes of the same kind and number would be the same film.
        numbers = range(part * HELD_OUT_NUMBERS, part * HELD_OUT_NUMBERS + count)
        films = [draw_film(scene.action, seed, number) for scene, number in zip(self.scenes, numbers, strict=True)]
        self.frames = stack_frames(films, np.tile(np.arange(LENGTH), (count, 1)))
        self.tokens = _tokenize_captions(self.scenes, tokenize)
        self.answers = _find_answers(self.scenes)
        self.seed = seed

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitems__(self, keys: Sequence[SampleKey]) -> CaptionBatch:
        """Return a batch; padding has no answers."""
        numbers = np.array([key.index for key in keys])
        frame, caption = self._choices(keys[0].epoch, numbers)
        rows = torch.from_numpy(numbers * LENGTH + frame)
        frames = Frames(*(values[rows] for values in vars(self.frames).values()))
        answers = self.answers[numbers].clone()
        answers[[key.is_padding for key in keys]] = PADDING_LABEL
        return CaptionBatch(frames, self.tokens[numbers, caption], answers)

    def _choices(self, epoch: int, numbers: np.ndarray) -> np.ndarray:
        """Return frame and caption of scenes in an epoch, (2, B), whatever the batch or the process they fall into."""
        rng = np.random.default_rng([self.seed, epoch, len(self)])
        return rng.integers([[LENGTH], [CAPTIONS_PER_SCENE]], size=(2, len(self)))[:, numbers]


def _tokenize_captions(scenes: Sequence[Scene], tokenize: Tokenize) -> Tensor:
    """Return the (N, CAPTIONS_PER_SCENE, L) token ids of all captions, each distinct one tokenized once."""
    row_of = {text: row for row, text in enumerate(dict.fromkeys(c for scene in scenes for c in scene.captions))}
    rows = torch.tensor([[row_of[caption] for caption in scene.captions] for scene in scenes])
    return tokenize(list(row_of))[rows]


def _find_answers(scenes: Sequence[Scene]) -> Tensor:
    """Return the (N, Q) right candidates."""
    columns = []
    for question in QUESTIONS:
        label_of = {caption: label for label, caption in enumerate(candidates(question))}
        columns.append([label_of.get(answer(question, scene.action.look), PADDING_LABEL) for scene in scenes])
    return torch.tensor(columns).T


class CaptionDataModule(LightningDataModule):
    """Pictures of the generated world with captions, the same ones whatever the number of processes.

    Args:
        tokenize: Makes (N, L) token ids of N captions.
        num_scenes: Scenes to train on.
        held_out: Scenes to validate on.
        batch_size: Pictures of an optimizer step, over all processes.
        image_size: Height and width in pixels.
        seed: Seed of all draws.

    Raises:
        DataError: As the loaders: the batch does not fit the scenes or the processes.
    """

    def __init__(
        self,
        tokenize: Tokenize,
        num_scenes: int = 30_000,
        held_out: int = 2_000,
        batch_size: int = 1024,
        image_size: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.tokenize, self.batch_size, self.image_size, self.seed = tokenize, batch_size, image_size, seed
        self.sizes = {"train": num_scenes, "val": held_out}
        self.datasets: dict[str, CaptionedPictures] = {}

    def setup(self, stage: str | None = None) -> None:
        """Draw the parameters of the scenes."""
        for part, (name, count) in enumerate(self.sizes.items()):
            if name not in self.datasets:
                self.datasets[name] = CaptionedPictures(count, self.seed, part, self.tokenize)

    def train_dataloader(self) -> DataLoader:
        """Return a loader of the shuffled scenes, in whole batches."""
        rank, world_size = self._process()
        self._check(world_size)
        share = self.batch_size // world_size
        sampler = TrainingSampler(self.sizes["train"], share, self.seed, rank, world_size, self.batch_size)
        return self._loader("train", sampler, share)

    def val_dataloader(self) -> DataLoader:
        """Return a loader of the held-out scenes, always with the same frames."""
        return self._loader("val", EvaluationSampler(self.sizes["val"], *self._process()), 256)

    def on_after_batch_transfer(self, batch: CaptionBatch, dataloader_idx: int) -> CaptionBatch:
        """Draw the pictures on the device, and normalize them."""
        options = ClipOptions()
        return replace(batch, pixels=normalize(draw_frames(batch.frames, self.image_size), options.mean, options.std))

    def _check(self, world_size: int) -> None:
        if self.batch_size > self.sizes["train"]:
            scenes = self.sizes["train"]
            raise DataError(
                f"The batch of {self.batch_size} pictures is larger than the {scenes} scenes: make it smaller."
            )
        if self.batch_size % world_size:
            raise DataError(
                f"A batch of {self.batch_size} pictures does not divide evenly among {world_size} processes: make it a "
                f"multiple of {world_size}."
            )

    def _process(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(self, part: str, sampler: TrainingSampler | EvaluationSampler, batch_size: int) -> DataLoader:
        dataset = self.datasets[part]
        # A generator of its own: loaders must not touch the random state of the model.
        return DataLoader(dataset, batch_size, sampler=sampler, collate_fn=_as_it_is, generator=torch.Generator())


def _as_it_is(batch: CaptionBatch) -> CaptionBatch:
    return batch
