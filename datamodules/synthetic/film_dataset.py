"""Films as a dataset, and as batches of parameters that become pictures on the device."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.synthetic.actions import Action
from datamodules.synthetic.behaviors import LENGTH
from datamodules.synthetic.drawing import Frames, draw_frames
from datamodules.synthetic.films import Film, draw_film, stack_frames
from datamodules.video.batch import PADDING_LABEL
from datamodules.video.frame_sampling import FrameSampler
from datamodules.video.samplers import SampleKey, clip_seed


class FilmClip(NamedTuple):
    """One item of a dataset.

    Attributes:
        film: The film.
        frames: (V, T) indices of the frames to draw.
        label: Class id, or `PADDING_LABEL`.
        video_id: `<action>/<number>`.
        seed: Seed of the clip.
    """

    film: Film
    frames: np.ndarray
    label: int
    video_id: str
    seed: int


class FilmDataset(Dataset[FilmClip]):
    """Films of some actions, equally many of each.

    Args:
        actions: The actions.
        numbers: Numbers of the films of each action.
        class_names: Y names, of these actions at least; the position is the label.
        sample_frames: Chooses the frames of each view.
        world_seed: Seed of the world.
        seed: Seed of the frame sampling.
    """

    def __init__(
        self,
        actions: Sequence[Action],
        numbers: Sequence[int],
        class_names: Sequence[str],
        sample_frames: FrameSampler,
        world_seed: int,
        seed: int,
    ) -> None:
        label_of = {name: label for label, name in enumerate(class_names)}
        chosen = [(action, number) for action in actions for number in numbers]
        self.labels = [label_of[action.name] for action, _ in chosen]
        self.video_ids = [f"{action.name.replace(' ', '_')}/{number}" for action, number in chosen]
        self.films = [draw_film(action, world_seed, number) for action, number in chosen]
        self.sample_frames, self.world_seed, self.seed = sample_frames, world_seed, seed

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, key: SampleKey | int) -> FilmClip:
        """Choose the frames of one film; a plain index means the first epoch."""
        key = SampleKey(0, key) if isinstance(key, int) else key
        seed = clip_seed(self.seed, key.epoch, key.index)
        frames = self.sample_frames(LENGTH, np.random.default_rng(seed))
        label = PADDING_LABEL if key.is_padding else self.labels[key.index]
        return FilmClip(self.films[key.index], frames, label, self.video_ids[key.index], seed)

    def summary(self) -> dict[str, object]:
        """Return what a report records: the number of films, and a SHA-256 of what they are."""
        identity = repr((self.world_seed, self.video_ids, self.labels))
        return {"num_clips": len(self), "sha256": hashlib.sha256(identity.encode()).hexdigest()}


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
    label: Tensor
    video_id: list[str]
    seed: Tensor

    def to(self, device: torch.device | str, non_blocking: bool = True) -> FilmBatch:
        """Return the batch with frames and labels on `device`."""
        label = self.label.to(device, non_blocking=non_blocking)
        return replace(self, frames=self.frames.to(device, non_blocking), label=label)

    def draw(self, size: int) -> Tensor:
        """Return (B, V, T, 3, size, size) uint8."""
        return draw_frames(self.frames, size).unflatten(0, (-1, *self.shape))


def collate_films(clips: list[FilmClip]) -> FilmBatch:
    """Collate clips into a batch."""
    films, indices, labels, video_ids, seeds = zip(*clips, strict=True)
    frames = stack_frames(films, np.stack([chosen.ravel() for chosen in indices]))
    return FilmBatch(frames, indices[0].shape, torch.tensor(labels), list(video_ids), torch.tensor(seeds))
