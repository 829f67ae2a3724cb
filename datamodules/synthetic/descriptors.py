"""What a language model would say of an action: what its frames show, and what happens from the first to the last."""

from __future__ import annotations

from datamodules.synthetic.actions import Action
from datamodules.synthetic.captions import noun_of

# Behavior -> two steps or aspects of it; the same for its film played backwards, in the other order.
STEPS = {
    "anything": ("one color", "one shape"),
    "stay": ("staying put", "one color"),
    "jump": ("jumping around", "one color"),
    "recolor": ("staying put", "changing color"),
    "jump_and_recolor": ("jumping around", "changing color"),
    "move_together": ("jumping around", "moving together"),
    "move_independently": ("jumping around", "moving on their own"),
    "move_one": ("one staying put", "one jumping around"),
    "go_right": ("on the left", "on the right"),
    "grow": ("small", "large"),
    "open": ("closed", "open"),
}


def describe(action: Action) -> tuple[list[str], list[str]]:
    """Return two spatial phrases, the second without the shape, and two temporal ones, in the order of the film."""
    steps = action.colors or STEPS[action.behavior]
    spatial = [action.family, noun_of(action.look, names_shape=False)]
    return spatial, list(reversed(steps) if action.is_reversed else steps)
