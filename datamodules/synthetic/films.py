"""The parameters of a film, drawn from (seed, action, number): its actors, and everything around them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from datamodules.synthetic.actions import Action, Look
from datamodules.synthetic.behaviors import (
    ANGLE,
    BEHAVIORS,
    COLOR,
    LENGTH,
    PLACE,
    SHAPE,
    SIZE,
    TEXTURE,
    Rng,
    X,
    Y,
    draw_colors,
    draw_places,
    ramp,
)
from datamodules.synthetic.drawing import CHANNELS, SHAPE_NUMBER, TEXTURES, WAVE_CHANNELS, Frames

FRAMES_PER_SECOND = 12
NUM_WAVES, NUM_DISTRACTORS = 3, 2
MAX_ACTORS = 2
ANY_SHAPE = ("disc", "square", "triangle", "heart", "diamond", "hexagon")
"""Shapes of an actor whose action names none."""


@dataclass(frozen=True)
class Film:
    """The parameters of one film.

    Attributes:
        actors: (LENGTH, NUM_DISTRACTORS + MAX_ACTORS, channels) float32; the distractors come first, below the actors.
        waves: (LENGTH, NUM_WAVES, wave channels) float32.
        ground: (3,) float64.
    """

    actors: np.ndarray
    waves: np.ndarray
    ground: np.ndarray

    def reversed(self) -> Film:
        """Return the film played backwards."""
        return replace(self, actors=self.actors[::-1], waves=self.waves[::-1])


def draw_film(action: Action, seed: int, number: int) -> Film:
    """Draw a film.

    Args:
        action: What happens in it.
        seed: Seed of the world, at least 0.
        number: Number of the film, at least 0; the films of an order pair with the same number are each other's
            reversals.
    """
    # Without the direction: a film and its reversal share all draws. CRC-32, because `hash` changes between processes.
    key = zlib.crc32(f"{action.family}/{action.behavior}".encode())
    rng = np.random.default_rng([seed, key, number])
    actors = BEHAVIORS[action.behavior](_draw_actors(action.look, rng), action, rng)
    hidden = np.zeros((LENGTH, MAX_ACTORS - action.look.count, len(CHANNELS)), np.float32)
    actors = np.concatenate([_draw_distractors(rng), actors, hidden], axis=1)
    is_shown = actors[..., SIZE, None] > 0
    actors[..., PLACE] += is_shown * rng.normal(0, 0.006, (LENGTH, 1, 2))  # the camera shakes
    film = Film(actors.astype(np.float32), _draw_waves(rng), rng.uniform(60, 130) + rng.normal(0, 12, 3))
    return film.reversed() if action.is_reversed else film


def stack_frames(films: Sequence[Film], indices: np.ndarray) -> Frames:
    """Collect frames of several films.

    Args:
        films: B films.
        indices: (B, T) frames of each.

    Returns:
        The parameters of B * T frames.
    """
    chosen = list(zip(films, indices, strict=True))
    actors = np.concatenate([film.actors[frames] for film, frames in chosen])
    waves = np.concatenate([film.waves[frames] for film, frames in chosen])
    ground = np.repeat(np.stack([film.ground for film in films]), indices.shape[1], axis=0)
    return Frames(torch.from_numpy(actors), torch.from_numpy(waves), torch.from_numpy(ground).float())


def _draw_actors(look: Look, rng: Rng) -> np.ndarray:
    """Draw the actors at rest, the same in every frame: (LENGTH, count, channels)."""
    actors = np.zeros((look.count, len(CHANNELS)), np.float64)
    actors[:, SIZE] = rng.uniform(0.12, 0.17) if look.count == 1 else rng.uniform(0.09, 0.12)
    actors[:, PLACE] = draw_places(look.count, actors[0, SIZE], rng)
    actors[:, ANGLE] = rng.uniform(-0.25, 0.25)
    actors[:, SHAPE] = SHAPE_NUMBER[look.shape or str(rng.choice(ANY_SHAPE))]
    actors[:, TEXTURE] = TEXTURES.index(look.texture)
    actors[:, COLOR] = draw_colors(look, rng)
    return np.repeat(actors[None], LENGTH, axis=0)


def _draw_distractors(rng: Rng) -> np.ndarray:
    """Draw small gray things that glide over the background: (LENGTH, NUM_DISTRACTORS, channels)."""
    things = np.zeros((LENGTH, NUM_DISTRACTORS, len(CHANNELS)))
    for thing in range(NUM_DISTRACTORS):
        for axis in (X, Y):
            things[:, thing, axis] = ramp(*rng.uniform(0, 1, 2))[:, 0]
        things[:, thing, SIZE] = rng.uniform(0.03, 0.06)
        things[:, thing, COLOR] = rng.uniform(20, 180)
        things[:, thing, SHAPE] = SHAPE_NUMBER["disc"]
    return things


def _draw_waves(rng: Rng) -> np.ndarray:
    """Draw waves that travel over the background: (LENGTH, NUM_WAVES, wave channels)."""
    waves = np.zeros((LENGTH, NUM_WAVES, len(WAVE_CHANNELS)))
    waves[..., :2] = rng.normal(0, 12, (NUM_WAVES, 2))
    speed = rng.normal(0, 0.12, NUM_WAVES)
    # Counted from the middle of the film, so that the reversed film has waves of the same kind.
    waves[..., 2] = rng.uniform(0, 2 * np.pi, NUM_WAVES) + speed * (np.arange(LENGTH)[:, None] - (LENGTH - 1) / 2)
    waves[..., 3] = rng.uniform(4, 14, NUM_WAVES)
    return waves.astype(np.float32)
