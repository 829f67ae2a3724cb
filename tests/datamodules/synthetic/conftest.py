"""Films of the generated world, drawn once for all tests."""

from functools import cache

import pytest

from datamodules.synthetic.actions import SEEN, UNSEEN
from datamodules.synthetic.films import draw_film

ACTIONS = {action.name: action for action in (*SEEN, *UNSEEN)}


@pytest.fixture(scope="session")
def films():
    """Films 0, 1, ... of an action by name: `films(name, count)`."""
    draw = cache(lambda name, number: draw_film(ACTIONS[name], 0, number))
    return lambda name, count, first=0: [draw(name, number) for number in range(first, first + count)]
