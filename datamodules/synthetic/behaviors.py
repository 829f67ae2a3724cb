"""What the actors of a film do, and why single frames tell so little of it.

*Relational* behaviors choose, for every beat of a film, a new state of the scene from one distribution D, under the
condition that some property of it stays what it was in the first state, itself drawn from D. A draw from D given the
value that the property has in another draw from D is again a draw from D. So every single frame follows D, whichever
property stays: nothing (`jump_and_recolor`, `move_independently`), the colors, the places, the offset of two things,
the place of one of them, or everything (`stay`).

*Order* behaviors are drawn once for both actions of a pair; the films of the second are those of the first backwards.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from datamodules.synthetic.actions import Action, Look
from datamodules.synthetic.drawing import CHANNELS, COLORS

LENGTH = 24
"""Frames of a film."""
BEAT = 3
"""Frames between two jumps, so that eight evenly sampled frames show eight states, each once."""
LOW, HIGH = 0.22, 0.78
"""Bounds of the centers of actors, in units of the frame."""
X, Y, SIZE, ANGLE, GAP, RED, GREEN, BLUE, SHAPE, TEXTURE = range(len(CHANNELS))
PLACE, COLOR = slice(X, Y + 1), slice(RED, BLUE + 1)

Rng = np.random.Generator
Behavior = Callable[[np.ndarray, Action, Rng], np.ndarray]
"""(LENGTH, count, channels) actors at rest, action, generator -> actors in action."""


# The distribution D: uniform over colors, and over the places of actors that do not touch


def draw_colors(look: Look, rng: Rng) -> np.ndarray:
    """Draw a shade of a different color for each actor: (count, 3)."""
    names = [look.color] if look.color else rng.choice(list(COLORS), look.count, replace=False)
    return np.stack([_shade(name, rng) for name in names])


def draw_places(count: int, size: float, rng: Rng) -> np.ndarray:
    """Draw the centers of one or two actors of a size: (count, 2)."""
    while True:
        places = rng.uniform(LOW, HIGH, (count, 2))
        if count == 1 or _are_apart(places, size):
            return places


def _shade(name: str, rng: Rng) -> np.ndarray:
    return np.clip(np.array(COLORS[name]) * rng.uniform(0.85, 1.1) + rng.normal(0, 6, 3), 0, 255)


def _are_apart(places: np.ndarray, size: float) -> bool:
    return bool(np.linalg.norm(places[0] - places[1]) > 2.4 * size)


# Relational


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
    return _each_beat(actors, PLACE, lambda: draw_places(count, size, rng), rng)


def _recolor(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    return _each_beat(actors, COLOR, lambda: draw_colors(action.look, rng), rng)


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
            if _are_apart(places, size):
                return places

    return _each_beat(actors, PLACE, draw, rng)


# Order: films of the first action of a pair


def ramp(first: float, last: float) -> np.ndarray:
    """Go evenly from one value to another: (LENGTH, 1). Backwards it goes from the other to the one."""
    return np.linspace(first, last, LENGTH)[:, None]


def _go_right(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    path = rng.uniform(0.25, HIGH - LOW)
    start = rng.uniform(LOW, HIGH - path)
    actors[..., X] = ramp(start, start + path)
    return actors


def _grow(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    first = rng.uniform(0.07, 0.1)
    actors[..., SIZE] = ramp(first, first * rng.uniform(1.8, 2.4))
    return actors


def _open(actors: np.ndarray, action: Action, rng: Rng) -> np.ndarray:
    actors[..., ANGLE] = rng.uniform(-np.pi, np.pi)  # where the gap is
    actors[..., GAP] = ramp(rng.uniform(0.1, 0.8), rng.uniform(2.8, 4.2))
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
        actors[..., axis] = ramp(*rng.uniform(LOW, HIGH, 2))
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
