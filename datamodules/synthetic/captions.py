"""Captioned pictures of the generated world, for the pre-training of a CLIP that knows it.

A picture is one frame of a film; its caption names what can be seen in it and, often, what happens in the film, which
one frame may not show: as with pictures and captions from the web.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.options import ClipOptions
from datamodules.synthetic.actions import Action, Look, phrase
from datamodules.synthetic.drawing import COLORS, TEXTURES, Frames, draw_frames
from datamodules.synthetic.films import ANY_SHAPE, LENGTH, draw_film, stack_frames
from datamodules.transforms.augmentation import normalize

ONE = ("stay", "jump", "recolor", "jump_and_recolor", "go_right", "grow", "anything")
TWO = ("stay", "move_together", "move_independently", "move_one")
PLAIN_SHAPES = ("star", "cross", "flower", "bar", "ring")
CAPTIONS_PER_SCENE = 4


@dataclass(frozen=True)
class Scene:
    """A film and captions of its frames."""

    action: Action
    captions: tuple[str, ...]


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draw a scene of any shape, color, texture and behavior."""
    count = 1 if rng.random() < 0.75 else 2
    shape = str(rng.choice((*ANY_SHAPE, *PLAIN_SHAPES) if count == 1 else ANY_SHAPE[:4]))
    texture = str(rng.choice(TEXTURES)) if shape in ANY_SHAPE and count == 1 else TEXTURES[0]
    behavior = str(rng.choice(ONE if count == 1 else TWO))
    if shape == "ring" and rng.random() < 0.5:
        behavior = "open"
    has_color = count == 1 and not behavior.endswith("recolor")
    look = Look(shape, str(rng.choice(list(COLORS))) if has_color else None, texture, count)
    is_reversed = behavior in ("go_right", "grow", "open") and bool(rng.random() < 0.5)
    action = Action("", "static", f"{look}", look, behavior, is_reversed=is_reversed)
    return Scene(action, tuple(_write_caption(action, rng) for _ in range(CAPTIONS_PER_SCENE)))


def noun_of(look: Look, names_shape: bool = True) -> str:
    """Name what can be seen: `a striped red disc`, `two squares`; or, without its shape, `a striped thing`."""
    shape = {"hexagon": "lamp"}.get(look.shape, look.shape) if names_shape else "thing"
    words = [*([look.texture] if look.texture != "plain" else []), *([look.color] if look.color else []), shape]
    return f"a {' '.join(words)}" if look.count == 1 else f"two {' '.join(words)}s"


def _write_caption(action: Action, rng: np.random.Generator) -> str:
    look = action.look
    if look.color and rng.random() < 0.4:
        look = replace(look, color=None)
    noun = noun_of(look, names_shape=rng.random() < 0.75)
    behavior = f"-{action.behavior}" if action.is_reversed else action.behavior
    text = phrase(noun, behavior) if rng.random() < 0.5 else noun
    return f"a photo of {text}" if rng.random() < 0.7 else text


@dataclass
class CaptionBatch:
    """B pictures with a caption each.

    Attributes:
        frames: Parameters of the pictures, which are drawn on the device.
        captions: B texts.
        pixels: (B, 3, H, W) float32, normalized; None until drawn.
    """

    frames: Frames
    captions: list[str]
    pixels: Tensor | None = None

    def to(self, device: torch.device | str, non_blocking: bool = True) -> CaptionBatch:
        """Return the batch on `device`."""
        return replace(self, frames=self.frames.to(device, non_blocking))


class _Scenes(Dataset):
    """Scenes with all their frames; an item is (scene, frame, caption) of a random frame and caption."""

    def __init__(self, count: int, seed: list[int]) -> None:
        rng = np.random.default_rng(seed)
        self.scenes = [draw_scene(rng) for _ in range(count)]
        self.films = [draw_film(scene.action, seed[0], number) for number, scene in enumerate(self.scenes)]

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitems__(self, numbers: list[int]) -> CaptionBatch:
        frames = torch.randint(LENGTH, (len(numbers), 1)).numpy()
        captions = torch.randint(CAPTIONS_PER_SCENE, (len(numbers),)).tolist()
        texts = [self.scenes[number].captions[caption] for number, caption in zip(numbers, captions, strict=True)]
        return CaptionBatch(stack_frames([self.films[number] for number in numbers], frames), texts)


class CaptionDataModule(LightningDataModule):
    """Pictures with captions, each scene shown in a random frame with one of its captions.

    Args:
        num_scenes: Scenes to train on.
        held_out: Scenes to validate on.
        batch_size: Pictures per batch on one device.
        image_size: Height and width in pixels.
        seed: Seed of the scenes.
    """

    def __init__(
        self,
        num_scenes: int = 20_000,
        held_out: int = 2_000,
        batch_size: int = 512,
        image_size: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.batch_size, self.image_size, self.seed = batch_size, image_size, seed
        self.sizes = {"train": num_scenes, "val": held_out}
        self.datasets: dict[str, _Scenes] = {}

    def setup(self, stage: str | None = None) -> None:
        """Draw the parameters of the scenes."""
        for number, (part, count) in enumerate(self.sizes.items()):
            if part not in self.datasets:
                self.datasets[part] = _Scenes(count, [self.seed, number])

    def train_dataloader(self) -> DataLoader:
        """Return a loader of shuffled scenes, in whole batches."""
        return self._loader("train", shuffle=True, drop_last=True)

    def val_dataloader(self) -> DataLoader:
        """Return a loader of the held-out scenes."""
        return self._loader("val")

    def on_after_batch_transfer(self, batch: CaptionBatch, dataloader_idx: int) -> CaptionBatch:
        """Draw the pictures on the device, and normalize them."""
        options = ClipOptions()
        return replace(batch, pixels=normalize(draw_frames(batch.frames, self.image_size), options.mean, options.std))

    def _loader(self, part: str, **options: Any) -> DataLoader:
        return DataLoader(self.datasets[part], self.batch_size, collate_fn=lambda batch: batch, **options)
