"""Compares the class names of a run with those that its checkpoint was trained on."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any


def first_difference(given: Sequence[str], stored: Sequence[str]) -> tuple[int, str, str] | None:
    """Return where two lists of class names differ first, and both names as a message shows them; None if nowhere.

    Example:
        >>> first_difference(["run", "walk"], ["run"])
        (1, "'walk'", 'no such class')
    """
    for number, (name, expected) in enumerate(zip_longest(given, stored)):
        if name != expected:
            return (number, *("no such class" if text is None else repr(text) for text in (name, expected)))
    return None


def check_resumed_classes(given: Sequence[str], checkpoint: Mapping[str, Any]) -> None:
    """Refuse to resume a training with other classes, whose labels would mean something else.

    Args:
        given: Y names of the classes to train on.
        checkpoint: The resumed checkpoint; one that records no names is not checked.

    Raises:
        ValueError: Naming the first difference.
    """
    stored = checkpoint.get("tc_clip", {}).get("class_names")
    if stored and (found := first_difference(given, stored)):
        number, name, expected = found
        raise ValueError(
            f"Class {number} of the data is {name}, but the resumed checkpoint was trained with {expected} there: "
            "resume with the data of its run, or start a new training from its weights by --model.init_from."
        )
