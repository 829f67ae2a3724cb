"""Single frames tell nothing inside a family: the parameters are distributed alike, and linear probes are at chance."""

import math

import numpy as np
import pytest

from datamodules.synthetic.actions import SEEN
from datamodules.synthetic.behaviors import COLOR, LENGTH, PLACE
from datamodules.synthetic.drawing import draw_frames
from datamodules.synthetic.films import NUM_DISTRACTORS, stack_frames

FAMILIES = {
    family: [action.name for action in SEEN if action.family == family]
    for family in ("a striped thing", "two discs", "a star", "a lamp, red and blue")
}
STATIC = [f"showing a {noun}" for noun in ("red disc", "green square", "blue triangle", "yellow heart")]
FILMS = 1000


def states(films, count):
    """What the actors of single frames are like: (films, LENGTH, features)."""
    actors = np.stack([film.actors[:, NUM_DISTRACTORS : NUM_DISTRACTORS + count] for film in films]).astype(float)
    offset = actors[:, :, -1, PLACE] - actors[:, :, 0, PLACE]
    distance = np.linalg.norm(offset, axis=-1, keepdims=True)
    brightness = actors[..., COLOR].sum(-1)
    return np.concatenate([actors.reshape(*actors.shape[:2], -1), offset, distance, brightness], axis=-1)


def largest_difference(a, b):
    """The Kolmogorov-Smirnov statistic of every column of two samples: (columns,)."""
    both = np.concatenate([a, b])
    order = both.argsort(axis=0)
    steps = np.where(order < len(a), 1 / len(a), -1 / len(b)).cumsum(axis=0)
    values = np.take_along_axis(both, order, axis=0)
    is_last = np.concatenate([values[1:] > values[:-1], np.ones_like(values[:1], bool)])  # of equal values
    return np.abs(np.where(is_last, steps, 0)).max(axis=0)


@pytest.mark.parametrize(("family", "count"), [("a striped thing", 1), ("two discs", 2)])
def test_states_of_a_relational_family_are_distributed_alike_in_every_frame(films, family, count):
    first, *others = [states(films(name, FILMS), count) for name in FAMILIES[family]]
    differences = np.stack([largest_difference(first.reshape(FILMS, -1), o.reshape(FILMS, -1)) for o in others])
    # 1% for all comparisons together (Bonferroni); the asymptotic distribution of the statistic.
    level = 0.01 / differences.size
    assert differences.max() < math.sqrt(-math.log(level / 2) / FILMS)


def test_the_comparison_of_states_notices_a_small_shift(films):
    sample = states(films("a striped thing jumping around", FILMS), 1)[:, 0, :1]
    other = states(films("a striped thing staying put", FILMS), 1)[:, 0, :1]
    assert largest_difference(sample, other) < 0.08 < largest_difference(sample, other + 0.06)


def probe(samples):
    """The accuracy of a linear probe, and how far from chance it may be: (classes, films, features) each a sample."""
    classes, count, _ = samples.shape
    features = (samples - samples.mean((0, 1))) / (samples.std((0, 1)) + 1e-6)
    train, test = np.split(features, 2, axis=1)
    x, y = train.reshape(classes * count // 2, -1), np.repeat(np.eye(classes) - 1 / classes, count // 2, axis=0)
    weights = np.linalg.solve(x.T @ x + 0.1 * len(x) * np.eye(x.shape[1]), x.T @ y)
    accuracy = ((test @ weights).argmax(-1) == np.arange(classes)[:, None]).mean()
    chance = 1 / classes
    return accuracy, 2.576 * math.sqrt(chance * (1 - chance) / (classes * count // 2))  # 99 %


def pixels(films):
    """A frame of every film, as 12 x 12 pixels with products of their colors: (films, features)."""
    frames = stack_frames(films, np.arange(len(films))[:, None] % LENGTH)
    drawn = draw_frames(frames, 12).flatten(2).float().numpy() / 255
    centered = drawn - np.median(drawn, axis=2, keepdims=True)
    spread = np.einsum("nap,nbp->nab", centered, centered) / drawn.shape[2]
    return np.concatenate([drawn.reshape(len(films), -1), spread.reshape(len(films), -1)], axis=1)


def parameters(films):
    """The actors of a frame of every film, with what a linear probe cannot compute from them: (films, features)."""
    frames = np.arange(len(films)) % LENGTH
    state = states(films, 2)[np.arange(len(films)), frames]
    return np.concatenate([state, state**2, state[:, :1] * state], axis=1)


@pytest.mark.parametrize("view", [pixels, parameters])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_linear_probe_on_single_frames_is_at_chance_inside_a_family(films, family, view):
    names = FAMILIES[family]
    # Other films of the second action of a pair: a film and its reversal would not be independent.
    firsts = (0, 600) if len(names) == 2 else (0, 0, 0, 0)
    samples = np.stack([view(films(name, 600, first)) for name, first in zip(names, firsts, strict=True)])
    accuracy, margin = probe(samples)
    assert abs(accuracy - 1 / len(names)) < margin


@pytest.mark.parametrize("view", [pixels, parameters])
def test_a_linear_probe_on_single_frames_tells_static_actions_apart(films, view):
    accuracy, _ = probe(np.stack([view(films(name, 600)) for name in STATIC]))
    assert accuracy > 0.7
