"""The test films of the demo, as pictures and as input, and what the models see in one of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datamodules.synthetic.files_data_module import SyntheticFilesDataModule
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.visualization import (
    cls_attention_maps,
    draw_context_tokens,
    draw_heatmap,
    draw_seed_tokens,
    join_frames,
    to_images,
    upscale,
)

FRAME_SIDE = 128
"""Least side of a frame in the pictures, in pixels."""


@dataclass(frozen=True)
class Inside:
    """What a model sees in a film.

    Attributes:
        answer: The action that it answers.
        probability: Of this answer.
        on_context: Share of the attention of [CLS], in [0, 1], that goes to the context tokens.
        strips: Pictures by what they show: `attention` and, if there are context tokens, `seeds` and `context`.
    """

    answer: str
    probability: float
    on_context: float
    strips: dict[str, np.ndarray]


@dataclass(frozen=True)
class DemoFilms:
    """One view of every test film.

    Attributes:
        pixels: (C, T, 3, H, W) uint8.
        video: The same, normalized.
        labels: (C,) labels.
        class_names: Y names of the actions.
    """

    pixels: Tensor
    video: Tensor
    labels: Tensor
    class_names: list[str]

    def first_of(self, class_name: str) -> int:
        """Return the index of the first film of an action."""
        return int((self.labels == self.class_names.index(class_name)).nonzero()[0])

    def strip(self, index: int) -> np.ndarray:
        """Return the frames of a film side by side, (H, W, 3) in 0..1."""
        return join_frames(self.images(index))

    def images(self, index: int) -> np.ndarray:
        """Return the frames of a film, large enough to be looked at: (T, H, W, 3) in 0..1."""
        return upscale(to_images(self.pixels[index]), FRAME_SIDE)


def read_films(root: Path, num_frames: int, image_size: int) -> DemoFilms:
    """Read all test films.

    Args:
        root: The dataset on disk.
        num_frames: Frames T of the view.
        image_size: Height and width in pixels.
    """
    data = SyntheticFilesDataModule(str(root), num_frames=num_frames, image_size=image_size, num_workers=0)
    data.setup("test")
    batches = list(data.val_dataloader())
    return DemoFilms(
        pixels=torch.cat([batch.video[:, 0] for batch in batches]),
        video=torch.cat([data.on_after_batch_transfer(batch, 0).video[:, 0] for batch in batches]),
        labels=torch.cat([batch.label for batch in batches]),
        class_names=list(data.class_names),
    )


@torch.no_grad()
def look_inside(model: TCCLIP, films: DemoFilms, index: int) -> Inside:
    """Draw what a model sees in a film, in its last layer, and take down its answer.

    Args:
        model: The model, frame-wise or with context tokens.
        films: The films.
        index: Which of them.
    """
    model.set_class_names(films.class_names)
    output = model(films.video[[index]], return_sources=True, return_attentions=True)
    images, attention = films.images(index), output.attentions[-1][0]  # (T, H, N, N + K)
    maps = cls_attention_maps(attention)
    strips = {"attention": join_frames(draw_heatmap(images, maps))}
    if output.sources[-1] is not None:  # None in a frame-wise model
        sources = output.sources[-1][0]  # (K, T * P)
        attended = int((sources.float() @ torch.from_numpy(maps).flatten()).argmax())
        strips["seeds"] = join_frames(draw_seed_tokens(images, sources))
        strips["context"] = join_frames(draw_context_tokens(images, sources, highlight=attended))
    probability, label = output.logits[0].softmax(-1).max(-1)
    return Inside(
        answer=films.class_names[label],
        probability=float(probability),
        on_context=float(attention[:, :, 0, attention.shape[2] :].sum(-1).mean()),
        strips=strips,
    )
