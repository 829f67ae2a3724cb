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
    most_persistent_token,
    to_images,
    upscale,
)

FRAME_SIDE = 128
"""Least side of a frame in the pictures, in pixels."""
BATCH = 32


@dataclass(frozen=True)
class DemoFilms:
    """One view of every test film.

    Attributes:
        pixels: (C, T, 3, H, W) uint8.
        video: The same, normalized.
        labels: (C,) labels.
        names: C names of files.
        class_names: Y names of the actions.
    """

    pixels: Tensor
    video: Tensor
    labels: Tensor
    names: list[str]
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
        names=[Path(name).name for batch in batches for name in batch.video_id],
        class_names=list(data.class_names),
    )


@torch.no_grad()
def predict(model: TCCLIP, films: DemoFilms) -> Tensor:
    """Return (C, Y) probabilities of the actions, and leave the model with their names."""
    model.set_class_names(films.class_names)
    return torch.cat([model(video).logits.softmax(-1) for video in films.video.split(BATCH)])


def choose_film(films: DemoFilms, class_name: str, better: Tensor, worse: Tensor) -> int:
    """Return the film of an action for which one model is the surest of the truth compared with another.

    Args:
        films: The films.
        class_name: The action.
        better: (C, Y) probabilities of the one model.
        worse: (C, Y) probabilities of the other.
    """
    label = films.class_names.index(class_name)
    lead = (better - worse)[:, label].masked_fill(films.labels != label, float("-inf"))
    return int(lead.argmax())


@torch.no_grad()
def look_inside(model: TCCLIP, films: DemoFilms, index: int) -> dict[str, np.ndarray]:
    """Draw what a model that makes context tokens sees in a film, in its last layer.

    Returns:
        Strips by what they show: `seeds`, `context` and `attention`.
    """
    output = model(films.video[[index]], return_sources=True, return_attentions=True)
    images, sources = films.images(index), output.sources[-1][0]
    token = most_persistent_token(sources, len(images))
    return {
        "seeds": join_frames(draw_seed_tokens(images, sources)),
        "context": join_frames(draw_context_tokens(images, sources, highlight=token)),
        "attention": join_frames(draw_heatmap(images, cls_attention_maps(output.attentions[-1][0]))),
    }


@torch.no_grad()
def look_at_attention(model: TCCLIP, films: DemoFilms, index: int) -> np.ndarray:
    """Draw what the frames' [CLS] tokens attend to in the last layer of any model, as a strip."""
    output = model(films.video[[index]], return_attentions=True)
    return join_frames(draw_heatmap(films.images(index), cls_attention_maps(output.attentions[-1][0])))
