"""Captions of the generated world, for the pre-training of a CLIP that knows it.

A picture is one frame of a film; its caption names what can be seen in it and, often, what happens in the film, which
one frame may not show: as with pictures and captions from the web.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from datamodules.synthetic.actions import SEEN, UNSEEN, Action, Look, phrase
from datamodules.synthetic.drawing import COLORS, TEXTURES
from datamodules.synthetic.films import ANY_SHAPE

ONE = ("stay", "jump", "recolor", "jump_and_recolor", "go_right", "grow", "anything")
TWO = ("stay", "move_together", "move_independently", "move_one")
PLAIN_SHAPES = ("star", "cross", "flower", "bar", "ring")
PAIRED_SHAPES = ANY_SHAPE[:4]
CAPTIONS_PER_SCENE = 4
PREFIX = "a photo of"


@dataclass(frozen=True)
class Scene:
    """What a film shows, and captions of its frames.

    Attributes:
        action: What happens in it; no class of a test.
        captions: `CAPTIONS_PER_SCENE` texts, all of them true.
    """

    action: Action
    captions: tuple[str, ...]


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draw a scene of any shape, color, texture and behavior."""
    count = 1 if rng.random() < 0.75 else 2
    shape = str(rng.choice((*ANY_SHAPE, *PLAIN_SHAPES) if count == 1 else PAIRED_SHAPES))
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
    return f"{PREFIX} {text}" if rng.random() < 0.7 else text


def vocabulary_texts() -> list[str]:
    """Return texts with every word of captions and of class names, for the tokenizer."""
    rng = np.random.default_rng(7)
    captions = [caption for _ in range(3000) for caption in draw_scene(rng).captions]
    return [PREFIX, *captions, *(action.name for action in (*SEEN, *UNSEEN))]


# What held-out pictures are asked

QUESTIONS: dict[str, Callable[[Look], str | None]] = {
    "shape": lambda look: noun_of(Look(look.shape, count=look.count)) if look.texture == "plain" else None,
    "color+shape": lambda look: noun_of(look) if look.color and look.texture == "plain" else None,
    "texture": lambda look: noun_of(Look(texture=look.texture), names_shape=False) if look.count == 1 else None,
    "texture+shape": lambda look: noun_of(replace(look, color=None)) if _may_have_texture(look) else None,
}
"""Question -> what it asks for, in words; None for a picture that it does not fit.

A caption that names no texture is one of a plain thing, so that the shape alone is asked of plain things only.
"""


def _may_have_texture(look: Look) -> bool:
    return look.count == 1 and look.shape in ANY_SHAPE


def possible_looks() -> list[Look]:
    """Return every look of a scene."""
    colors = (None, *COLORS)
    textured = [Look(*words) for words in product(ANY_SHAPE, colors, TEXTURES)]
    plain = [Look(*words) for words in product(PLAIN_SHAPES, colors)]
    return [*textured, *plain, *(Look(shape, count=2) for shape in PAIRED_SHAPES)]


def candidates(question: str) -> list[str]:
    """Return all answers to a question, as captions."""
    answers = {QUESTIONS[question](look) for look in possible_looks()} - {None}
    return [f"{PREFIX} {answer}" for answer in sorted(answers)]


def answer(question: str, look: Look) -> str | None:
    """Return the one of the candidates that is true of a picture; None for a picture that the question does not fit."""
    noun = QUESTIONS[question](look)
    return noun and f"{PREFIX} {noun}"
