"""The parameters of a film, drawn from (seed, action, number), and why single frames tell so little.

*Relational* behaviors choose, for every beat of a film, a new state of the scene from one distribution D, under the
condition that some property of it stays what it was in the first state, itself drawn from D. A draw from D given the
value that the property has in another draw from D is again a draw from D. So every single frame follows D, whichever
property stays: nothing (`jump_and_recolor`, `move_independently`), the colors, the places, the offset of two things, the
place of one of them, or everything (`stay`).

*Order* behaviors are drawn once for both actions of a pair; the films of the second are those of the first backwards.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from datamodules.synthetic.actions import Action, Look
from datamodules.synthetic.drawing import CHANNELS, COLORS, SHAPE_NUMBER, TEXTURES, WAVE_CHANNELS, Frames

LENGTH = 24
"""Frames of a film."""
BEAT = 3
"""Frames between two jumps: eight evenly sampled frames show every state of a film once."""
FRAMES_PER_SECOND = 12
LOW, HIGH = 0.22, 0.78
"""Bounds of the centers of actors, in units of the frame."""
NUM_WAVES, NUM_DISTRACTORS = 3, 2
X, Y, SIZE, ANGLE, GAP, RED, GREEN, BLUE, SHAPE, TEXTURE = range(len(CHANNELS))
PLACE, COLOR = slice(X, Y + 1), slice(RED, BLUE + 1)
# Shapes that may have any texture and that the name of no other action claims.
ANY_SHAPE = ("disc", "square", "triangle", "heart", "diamond", "hexagon")

Rng = np.random.Generator


@dataclass
class Film:
    """The parameters of one film.

    Attributes:
        actors: (LENGTH, NUM_DISTRACTORS + 2, channels) float32; the distractors come first, below the actors.
        waves: (LENGTH, NUM_WAVES, wave channels) float32.
        ground: (3,) float32.
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
        seed: Seed of the world.
        number: Number of the film; the films of an order pair with the same number are each other's reversals.
    """
    # Without the direction: a film and its reversal share all draws. CRC-32, because `hash` changes between processes.
    key = zlib.crc32(f"{action.family}/{action.behavior}".encode())
    rng = np.random.default_rng([seed, key, number])
    actors = BEHAVIORS[action.behavior](_draw_actors(action.look, rng), action, rng)
    hidden = np.zeros((LENGTH, 2 - action.look.count, len(CHANNELS)), np.float32)
    actors = np.concatenate([_draw_distractors(rng), actors, hidden], axis=1)
    shaken = np.abs(actors[..., SIZE, None]) > 0
    actors[..., PLACE] += shaken * rng.normal(0, 0.006, (LENGTH, 1, 2))  # the camera shakes
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
    actors = np.concatenate([film.actors[chosen] for film, chosen in zip(films, indices, strict=True)])
    waves = np.concatenate([film.waves[chosen] for film, chosen in zip(films, indices, strict=True)])
    ground = np.repeat(np.stack([film.ground for film in films]), indices.shape[1], axis=0)
    return Frames(torch.from_numpy(actors), torch.from_numpy(waves), torch.from_numpy(ground).float())


# What the actors look like, before anything happens: (LENGTH, count, channels), the same in every frame


def _draw_actors(look: Look, rng: Rng) -> np.ndarray:
    actors = np.zeros((look.count, len(CHANNELS)), np.float64)
    actors[:, SIZE] = rng.uniform(0.12, 0.17) if look.count == 1 else rng.uniform(0.09, 0.12)
    actors[:, PLACE] = _draw_places(look.count, actors[0, SIZE], rng)
    actors[:, ANGLE] = rng.uniform(-0.25, 0.25)
    actors[:, SHAPE] = SHAPE_NUMBER[look.shape or str(rng.choice(ANY_SHAPE))]
    actors[:, TEXTURE] = TEXTURES.index(look.texture)
    actors[:, COLOR] = _draw_colors(look, rng)
    return np.repeat(actors[None], LENGTH, axis=0)


def _draw_colors(look: Look, rng: Rng) -> np.ndarray:
    """Draw a shade of a different color for each actor: (count, 3)."""
    names = [look.color] if look.color else rng.choice(list(COLORS), look.count, replace=False)
    return np.stack([_shade(name, rng) for name in names])


def _shade(name: str, rng: Rng) -> np.ndarray:
    return np.clip(np.array(COLORS[name]) * rng.uniform(0.85, 1.1) + rng.normal(0, 6, 3), 0, 255)


def _draw_places(count: int, size: float, rng: Rng, accept: Callable[[np.ndarray], bool] | None = None) -> np.ndarray:
    """Draw the centers of actors that do not touch, uniformly: (count, 2)."""
    while True:
        places = rng.uniform(LOW, HIGH, (count, 2))
        if count == 1 or np.linalg.norm(places[0] - places[1]) > 2.4 * size:
            return places


# Relational: D is uniform over colors, and over the places of actors that do not touch

Behavior = Callable[[np.ndarray, Action, Rng], np.ndarray]
"""(LENGTH, count, channels) actors at rest, action, generator -> actors in action."""


def _each_beat(actors: np.ndarray, channels: slice, draw: Callable[[], np.ndarray], rng: Rng) -> np.ndarray:
    """Replace (count, ...) values in every beat but that of the first frame."""
    beats = (np.arange(LENGTH) + rng.integers(BEAT)) // BEAT
    for beat in np.unique(beats)[1:]:
        actors[beats == beat, :, channels] = draw()
    return actors


def _stay(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    return actors


def _jump(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    count, size = actors.shape[1], actors[0, 0, SIZE]
    return _each_beat(actors, PLACE, lambda: _draw_places(count, size, rng), rng)


def _recolor(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    return _each_beat(actors, COLOR, lambda: _draw_colors(action.look, rng), rng)


def _jump_and_recolor(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    return _recolor(_jump(actors, action, rng), action, rng)


def _move_together(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    """Keep the offset: given it, the first place is uniform where both are inside."""
    offset = actors[0, 1, PLACE] - actors[0, 0, PLACE]
    low, high = LOW - np.minimum(offset, 0), HIGH - np.maximum(offset, 0)
    return _each_beat(actors, PLACE, lambda: rng.uniform(low, high) + np.stack([0 * offset, offset]), rng)


def _move_one(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    """Keep the place of one: given it, that of the other is uniform where the two do not touch."""
    keeps, size = rng.integers(2), actors[0, 0, SIZE]
    kept = actors[0, keeps, PLACE].copy()

    def draw() -> np.ndarray:
        while True:
            places = rng.uniform(LOW, HIGH, (2, 2))
            places[keeps] = kept
            if np.linalg.norm(places[0] - places[1]) > 2.4 * size:
                return places

    return _each_beat(actors, PLACE, draw, rng)


# Order: films of the first action of a pair


def _ramp(first: float, last: float) -> np.ndarray:
    """Go from one value to another: (LENGTH, 1). Symmetric in time: backwards it goes from last to first."""
    return np.linspace(first, last, LENGTH)[:, None]


def _go_right(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    path = rng.uniform(0.25, HIGH - LOW)
    start = rng.uniform(LOW, HIGH - path)
    actors[..., X] = _ramp(start, start + path)
    return actors


def _grow(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    first = rng.uniform(0.07, 0.1)
    actors[..., SIZE] = _ramp(first, first * rng.uniform(1.8, 2.4))
    return actors


def _open(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    actors[..., ANGLE] = rng.uniform(-np.pi, np.pi)  # where the gap is
    actors[..., GAP] = _ramp(rng.uniform(0.1, 0.8), rng.uniform(2.8, 4.2))
    return actors


def _switch(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    first, last = (_shade(name, rng) for name in action.colors)
    when = rng.integers(LENGTH // 3, 2 * LENGTH // 3 + 1)
    actors[:when, :, COLOR], actors[when:, :, COLOR] = first, last
    return actors


# Static: what happens says nothing


def _anything(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    move = (_stay, _jump, _glide, _grow)[rng.integers(4)]
    actors = move(actors, action, rng)
    return actors[::-1].copy() if rng.random() < 0.5 else actors


def _glide(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    """Move evenly between two random places."""
    for axis in (X, Y):
        actors[..., axis] = _ramp(*rng.uniform(LOW, HIGH, 2))
    return actors


BEHAVIORS: dict[str, Behavior] = {
    "stay": _stay,
    "jump": _jump,
    "recolor": _recolor,
    "jump_and_recolor": _jump_and_recolor,
    "move_together": _move_together,
    "move_independently": _jump,
    "move_one": _move_one,
    "go_right": _go_right,
    "grow": _grow,
    "open": _open,
    "switch": _switch,
    "anything": _anything,
}


# Everything around the actors


def _draw_distractors(rng: Rng) -> np.ndarray:
    """Draw small gray things that glide over the background: (LENGTH, NUM_DISTRACTORS, channels)."""
    things = np.zeros((LENGTH, NUM_DISTRACTORS, len(CHANNELS)))
    for thing in range(NUM_DISTRACTORS):
        for axis in (X, Y):
            things[:, thing, axis] = _ramp(*rng.uniform(0, 1, 2))[:, 0]
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
