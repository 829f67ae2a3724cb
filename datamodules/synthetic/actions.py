"""The actions of the generated world, in three groups, and what theory says each kind of model can tell apart.

A *family* is a set of actions whose single frames are distributed alike. A frame-wise model scores a class by a sum
over frames of something that depends on one frame alone. Inside a family, the expected score of a class is then the
same for the films of every action, and by Jensen's inequality no such model has a cross-entropy below log(n) in a
family of n: training has nothing to learn there. Its accuracy may leave 1/n somewhat, because a sum over frames that
stay the same spreads more than one over frames that change. In an order pair 1/2 is exact: a film and its reversal have
the same frames. Frames that enter as a set, without their order, likewise leave an action and its reversed film alike.

| group | what tells its actions apart | families |
|---|---|---|
| static | one frame: color, shape, texture | of one action |
| relational | which property of the scene stays the same from frame to frame, in any order | of four actions |
| order | only the order of the frames | pairs, each the reversed film of the other |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Group = Literal["static", "relational", "order"]
Sees = Literal["frame", "set", "order"]
GROUPS: tuple[Group, ...] = ("static", "relational", "order")


@dataclass(frozen=True)
class Look:
    """What the actors of a film look like; None is drawn at random for each film.

    Attributes:
        shape: A name in `drawing.SHAPES`.
        color: A name in `drawing.COLORS`.
        texture: A name in `drawing.TEXTURES`.
        count: Number of actors, which differ in color.
    """

    shape: str | None = None
    color: str | None = None
    texture: str = "plain"
    count: int = 1


@dataclass(frozen=True)
class Action:
    """A class of the world.

    Attributes:
        name: What people would call it.
        group: static, relational or order.
        family: Name shared by all actions with the same distribution of single frames.
        look: The actors.
        behavior: A name in `films.BEHAVIORS`.
        colors: First and last color, for the behavior that has two.
        is_reversed: Whether its films are those of its partner played backwards.
        is_novel: Whether it belongs to the novel half.
    """

    name: str
    group: Group
    family: str
    look: Look
    behavior: str
    colors: tuple[str, str] | None = None
    is_reversed: bool = False
    is_novel: bool = False


# Behavior -> what people call it; with a "-", its film played backwards.
VERBS = {
    "anything": "showing",
    "stay": "staying put",
    "jump": "jumping around",
    "recolor": "changing color",
    "jump_and_recolor": "jumping around and changing color",
    "move_together": "moving together",
    "move_independently": "moving on their own",
    "move_one": "moving one at a time",
    "go_right": "moving right",
    "-go_right": "moving left",
    "grow": "growing",
    "-grow": "shrinking",
    "open": "opening",
    "-open": "closing",
}


def phrase(noun: str, behavior: str) -> str:
    """Say that something behaves in some way: `a star moving left`, `showing a red disc`."""
    verb = VERBS[behavior]
    return f"{verb} {noun}" if behavior == "anything" else f"{noun} {verb}"


@dataclass(frozen=True)
class _Family:
    """Actions of the same actors; `noun` names these and the family."""

    group: Group
    noun: str
    look: Look
    behaviors: Sequence[str]
    is_novel: bool = False
    novel_behaviors: Sequence[str] = ()

    def actions(self) -> list[Action]:
        return [
            Action(
                phrase(self.noun, behavior),
                self.group,
                self.noun,
                self.look,
                behavior.removeprefix("-"),
                is_reversed=behavior.startswith("-"),
                is_novel=self.is_novel or behavior in self.novel_behaviors,
            )
            for behavior in self.behaviors
        ]


@dataclass(frozen=True)
class _Lamp:
    """A pair: from one color to another, and back."""

    first: str
    last: str
    is_novel: bool = False

    def actions(self) -> list[Action]:
        return [
            Action(
                f"a lamp turning from {start} to {end}",
                "order",
                f"a lamp, {self.first} and {self.last}",
                Look("hexagon"),
                "switch",
                (self.first, self.last),
                is_reversed=start == self.last,
                is_novel=self.is_novel,
            )
            for start, end in ((self.first, self.last), (self.last, self.first))
        ]


_CHANGES = ("stay", "jump", "recolor", "jump_and_recolor")
_PAIRS = ("stay", "move_together", "move_independently", "move_one")
_GO, _GROW, _OPEN = ("-go_right", "go_right"), ("grow", "-grow"), ("open", "-open")


def _show(noun: str, look: Look, is_novel: bool = False) -> _Family:
    return _Family("static", noun, look, ("anything",), is_novel)


_SEEN = (
    _show("a red disc", Look("disc", "red")),
    _show("a blue disc", Look("disc", "blue"), is_novel=True),
    _show("a green square", Look("square", "green")),
    _show("a yellow square", Look("square", "yellow"), is_novel=True),
    _show("a red triangle", Look("triangle", "red"), is_novel=True),
    _show("a blue triangle", Look("triangle", "blue")),
    _show("a green heart", Look("heart", "green")),
    _show("a yellow heart", Look("heart", "yellow"), is_novel=True),
    _show("a checkered disc", Look("disc", texture="checkered")),
    _show("a checkered square", Look("square", texture="checkered"), is_novel=True),
    _show("a checkered triangle", Look("triangle", texture="checkered")),
    _show("a checkered heart", Look("heart", texture="checkered"), is_novel=True),
    _Family("relational", "a striped thing", Look(texture="striped"), _CHANGES),
    _Family("relational", "a dotted thing", Look(texture="dotted"), _CHANGES, is_novel=True),
    _Family("relational", "two discs", Look("disc", count=2), _PAIRS, novel_behaviors=("stay", "move_one")),
    _Family("order", "a star", Look("star"), _GO),
    _Family("order", "a cross", Look("cross"), _GO, is_novel=True),
    _Family("order", "a flower", Look("flower"), _GROW),
    _Family("order", "a bar", Look("bar"), _GROW, is_novel=True),
    _Family("order", "a ring", Look("ring"), _OPEN),
    _Lamp("red", "blue", is_novel=True),
)
_UNSEEN = (
    _show("a green disc", Look("disc", "green")),
    _show("a yellow disc", Look("disc", "yellow")),
    _show("a red square", Look("square", "red")),
    _show("a blue square", Look("square", "blue")),
    _show("a green triangle", Look("triangle", "green")),
    _show("a yellow triangle", Look("triangle", "yellow")),
    _show("a red heart", Look("heart", "red")),
    _show("a blue heart", Look("heart", "blue")),
    _show("a red diamond", Look("diamond", "red")),
    _show("a green diamond", Look("diamond", "green")),
    _show("a blue diamond", Look("diamond", "blue")),
    _show("a yellow diamond", Look("diamond", "yellow")),
    _Family("relational", "a checkered thing", Look(texture="checkered"), _CHANGES),
    _Family("relational", "a ringed thing", Look(texture="ringed"), _CHANGES),
    _Family("relational", "two squares", Look("square", count=2), _PAIRS),
    _Family("order", "a flower", Look("flower"), _GO),
    _Family("order", "a bar", Look("bar"), _GO),
    _Family("order", "a star", Look("star"), _GROW),
    _Family("order", "a cross", Look("cross"), _GROW),
    _Lamp("green", "yellow"),
    _Lamp("purple", "white"),
)

SEEN: tuple[Action, ...] = tuple(action for family in _SEEN for action in family.actions())
"""The 36 actions to train on, twelve in each group; a half of each group is novel."""
UNSEEN: tuple[Action, ...] = tuple(action for family in _UNSEEN for action in family.actions())
"""36 other actions to test on: known words in new combinations."""
_DEMO_FAMILIES = ("a red disc", "a green square", "a blue triangle", "a yellow heart", "a striped thing", "a star")
DEMO: tuple[Action, ...] = tuple(action for action in SEEN if action.family in _DEMO_FAMILIES)
"""Ten of the seen actions, some of each group, for the demo and the tests."""


def expected_accuracy(actions: Sequence[Action], sees: Sees) -> float:
    """Return the accuracy, in [0, 1], of a model that tells apart all that it can and is at chance in the rest.

    Exact for `set` and `order`; for `frame`, the accuracy in a relational family may leave chance somewhat (see above).

    Args:
        actions: The actions, all of which are candidates; equally many films of each are tested.
        sees: What its score of a class is a function of: `frame` for a sum over frames of something that depends on one
            frame alone, `set` for the frames without their order, `order` for the film.
    """
    if sees == "order":
        return 1.0
    # Actions that look alike to the model share one right answer.
    alike = {(a.family, None if sees == "frame" else (a.behavior, a.colors)) for a in actions}
    return len(alike) / len(actions)
