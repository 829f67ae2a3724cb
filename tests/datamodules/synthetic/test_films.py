"""Films: the same for the same seed, reversed in order pairs, and labeled by what happens in them."""

from itertools import combinations

import numpy as np
import pytest

from datamodules.synthetic.actions import SEEN, UNSEEN
from datamodules.synthetic.behaviors import COLOR, GAP, LENGTH, PLACE, SHAPE, SIZE, TEXTURE, X
from datamodules.synthetic.drawing import COLORS, SHAPES, TEXTURES, draw_frames
from datamodules.synthetic.films import NUM_DISTRACTORS, draw_film, stack_frames
from datamodules.video.frame_sampling import FrameSampler

ACTIONS = (*SEEN, *UNSEEN)
TEMPORAL = [action for action in ACTIONS if action.group != "static"]
PAIRS = [
    (action, partner)
    for action, partner in combinations(ACTIONS, 2)
    if action.group == "order" and (action.family, action.behavior) == (partner.family, partner.behavior)
]
# A shaking camera moves things by less than the first; the largest step of a jumping thing is longer than the second.
STILL, JUMP = 0.05, 0.1


def actors_of(film):
    """(LENGTH, count, channels) of what the name of the action speaks of."""
    actors = film.actors[:, NUM_DISTRACTORS:]
    return actors[:, actors[0, :, SIZE] > 0]


def extent(values):
    """How far values get from each other over a film: (...)."""
    return values.max(0) - values.min(0)


def color_name(color):
    return min(COLORS, key=lambda name: np.linalg.norm(np.array(COLORS[name]) - color))


# The rule that recovers labels: what a person would say happens in a film of a relational or order action


def say_verb(actors):
    """Name what happens as `actions.VERBS` does, from the trajectories alone."""
    if actors.shape[1] == 2:
        return say_verb_of_two(actors[..., PLACE])
    first, last = actors[0, 0], actors[-1, 0]
    place = actors[:, 0, PLACE]
    if extent(actors[:, 0, SIZE]) > 0:
        return "growing" if first[SIZE] < last[SIZE] else "shrinking"
    if extent(actors[:, 0, GAP]) > 0:
        return "opening" if first[GAP] < last[GAP] else "closing"
    if list(SHAPES)[int(first[SHAPE])] == "hexagon" and TEXTURES[int(first[TEXTURE])] == "plain":
        return f"turning from {color_name(first[COLOR])} to {color_name(last[COLOR])}"
    jumps, recolors = np.abs(np.diff(place, axis=0)).max() > JUMP, extent(actors[:, 0, COLOR]).max() > 0
    if not jumps and extent(place).max() > STILL:
        return "moving right" if first[X] < last[X] else "moving left"
    changes = [verb for verb, is_seen in (("jumping around", jumps), ("changing color", recolors)) if is_seen]
    return " and ".join(changes) or "staying put"


def say_verb_of_two(places):
    moves = extent(places).max(-1) > STILL
    if not moves.any():
        return "staying put"
    if extent(places[:, 1] - places[:, 0]).max() < 1e-5:  # the camera shakes both alike
        return "moving together"
    return "moving on their own" if moves.all() else "moving one at a time"


@pytest.mark.parametrize("action", TEMPORAL, ids=lambda action: action.name)
def test_labels_can_be_recovered_from_the_trajectories(films, action):
    noun = "a lamp" if action.colors else action.family
    assert {f"{noun} {say_verb(actors_of(film))}" for film in films(action.name, 30)} == {action.name}


def looks(films):
    """What can be seen of the actors of some films: (count, shape, texture, color), all that occur."""
    return {
        (actors.shape[1], list(SHAPES)[int(actor[SHAPE])], TEXTURES[int(actor[TEXTURE])], color_name(actor[COLOR]))
        for film in films
        for actors in [actors_of(film)]
        for actor in actors[:: LENGTH // 3].reshape(-1, actors.shape[2])
    }


@pytest.mark.parametrize("actions", [SEEN, UNSEEN], ids=["seen", "unseen"])
def test_no_two_actions_look_alike_but_in_a_family(films, actions):
    seen = {}
    for action in actions:
        key = (action.group, action.family, action.look, action.colors and frozenset(action.colors))
        seen.setdefault(key, set()).update(looks(films(action.name, 30)))
    for (one, its_looks), (other, other_looks) in combinations(seen.items(), 2):
        assert not its_looks & other_looks, f"{one} and {other}"


def test_things_of_a_name_have_every_look_of_that_name(films):
    assert {color for *_, color in looks(films("showing a checkered disc", 60))} == set(COLORS)
    assert {look[1:3] for look in looks(films("showing a red disc", 60))} == {("disc", "plain")}
    assert len({look[1] for look in looks(films("a striped thing staying put", 60))}) == 6


# Order


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].family)
def test_a_reversed_film_is_the_film_of_the_partner(pair):
    for number in (0, 7, 1_000_000):
        film, partner = (draw_film(action, 5, number) for action in pair)
        assert np.array_equal(film.actors[::-1], partner.actors) and np.array_equal(film.ground, partner.ground)
        assert np.array_equal(film.waves[::-1], partner.waves)
        backwards = film.reversed()
        assert np.array_equal(backwards.actors, partner.actors) and np.array_equal(backwards.waves, partner.waves)


def test_all_order_actions_are_in_a_pair():
    assert len(PAIRS) == 12
    assert len({action.name for pair in PAIRS for action in pair}) == 24


def test_pictures_of_a_reversed_film_are_those_of_the_film_backwards():
    film, partner = (draw_film(action, 0, 3) for action in PAIRS[0])
    every = np.arange(LENGTH)[None]
    pictures, backwards = (draw_frames(stack_frames([each], every), 24) for each in (film, partner))
    assert (pictures.flip(0) == backwards).all() and not (pictures == backwards).all()


@pytest.mark.parametrize("num_frames", [8, 16])
def test_sampled_frames_of_a_reversed_film_are_the_same_set(num_frames):
    (frames,) = FrameSampler("center", num_frames)(LENGTH, np.random.default_rng(0))
    assert len(set(frames)) == num_frames
    assert (LENGTH - 1 - frames[::-1] == frames).all()


def test_eight_sampled_frames_show_eight_states(films):
    (frames,) = FrameSampler("center", 8)(LENGTH, np.random.default_rng(0))
    for film in films("a striped thing changing color", 20):
        assert len(np.unique(actors_of(film)[frames, 0, COLOR], axis=0)) == 8


# Determinism


def test_seed_number_and_action_each_change_the_film():
    films = [draw_film(*key).actors for key in [(SEEN[0], 0, 0), (SEEN[0], 0, 1), (SEEN[0], 1, 0), (SEEN[1], 0, 0)]]
    assert all(not np.array_equal(a, b) for a, b in combinations(films, 2))


RECORDED = {
    # action: sums of actors, waves and ground
    0: (20667.56, 1061.17, 398.53),
    15: (24988.62, 786.01, 302.72),
    22: (29116.81, 556.08, 299.13),
    26: (28879.17, 2797.09, 349.26),
    60: (20551.73, 89.48, 254.44),
    71: (26564.63, 1786.31, 264.65),
}


@pytest.mark.parametrize("action", RECORDED)
def test_the_world_of_a_seed_stays_what_it_is(action):
    """A CLIP that was trained on a seed knows no other world; nor may another process draw another one."""
    film = draw_film(ACTIONS[action], 0, 0)
    sums = [float(values.astype(float).sum()) for values in (film.actors, film.waves, film.ground)]
    assert sums == pytest.approx(RECORDED[action], abs=0.01)
