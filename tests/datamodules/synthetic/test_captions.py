"""Captions are true of their pictures; words, questions and draws are complete."""

import re

import numpy as np
import pytest

from datamodules.synthetic.actions import SEEN, UNSEEN, VERBS, Look
from datamodules.synthetic.captions import (
    CAPTIONS_PER_SCENE,
    QUESTIONS,
    answer,
    candidates,
    draw_scene,
    noun_of,
    possible_looks,
    vocabulary_texts,
)
from datamodules.synthetic.drawing import COLORS, SHAPES, TEXTURES
from datamodules.synthetic.films import BEHAVIORS

SHAPE_WORDS = {"lamp": "hexagon", **{shape: shape for shape in SHAPES if shape != "hexagon"}}


@pytest.fixture(scope="module")
def scenes():
    rng = np.random.default_rng(3)
    return [draw_scene(rng) for _ in range(400)]


def test_captions_are_true_of_their_scene(scenes):
    for scene in scenes:
        action, look = scene.action, scene.action.look
        behavior = f"-{action.behavior}" if action.is_reversed else action.behavior
        for caption in scene.captions:
            words = caption.split()
            assert ("two" in words) == (look.count == 2)
            assert [w for w in words if w in COLORS] in ([], [look.color])
            assert [w for w in words if w in TEXTURES] == ([look.texture] if look.texture != "plain" else [])
            singular = [word if word == "cross" else word.removesuffix("s") for word in words]
            shapes = [SHAPE_WORDS[word] for word in singular if word in SHAPE_WORDS]
            assert shapes in ([look.shape], [])
            assert ("thing" in words or "things" in words) == (not shapes)
            said = [name for name, verb in VERBS.items() if re.search(rf"\b{verb}\b", caption)]
            if said:  # "jumping around and changing color" also holds the two shorter phrases
                assert behavior in said and (len(said) == 1 or behavior == "jump_and_recolor")


def test_a_scene_is_one_that_films_can_show(scenes):
    for scene in scenes:
        action, look = scene.action, scene.action.look
        assert action.behavior in BEHAVIORS and len(scene.captions) == CAPTIONS_PER_SCENE
        assert look in possible_looks()
        assert not (look.color and "recolor" in action.behavior)  # one color would be a lie
        assert action.behavior != "open" or look.shape == "ring"


def test_every_word_of_a_class_name_is_in_the_vocabulary():
    words = {word for text in vocabulary_texts() for word in text.split()}
    assert {word for action in (*SEEN, *UNSEEN) for word in action.name.split()} <= words
    assert {word for question in QUESTIONS for text in candidates(question) for word in text.split()} <= words


@pytest.mark.parametrize(
    ("look", "noun"),
    [
        (Look("disc", "red", "striped"), "a striped red disc"),
        (Look("hexagon", "blue"), "a blue lamp"),
        (Look("square", count=2), "two squares"),
        (Look("star"), "a star"),
    ],
)
def test_nouns(look, noun):
    assert noun_of(look) == noun


def test_noun_without_shape():
    assert noun_of(Look("disc", texture="dotted"), names_shape=False) == "a dotted thing"


def test_candidates_are_all_answers():
    assert {question: len(candidates(question)) for question in QUESTIONS} == {
        "shape": 15, "color+shape": 66, "texture": 5, "texture+shape": 30,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("look", "answers"),
    [
        (Look("disc", "red"), ["a disc", "a red disc", "a thing", "a disc"]),
        (Look("disc", "red", "striped"), [None, None, "a striped thing", "a striped disc"]),
        (Look("star"), ["a star", None, "a thing", None]),
        (Look("square", count=2), ["two squares", None, None, None]),
    ],
)
def test_answers(look, answers):
    expected = [noun and f"a photo of {noun}" for noun in answers]
    assert [answer(question, look) for question in QUESTIONS] == expected
