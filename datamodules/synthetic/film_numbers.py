"""Which films of an action a split trains on and tests on; the same for films as tensors and as files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from datamodules.errors import DataError

SPLITS = (1, 2, 3)
TEST_NUMBERS = 1_000_000
"""Number of the first film that split 1 tests. Those that it trains on count from 0: more of them change no test."""


def split_numbers(train_films: int, test_films: int, split: int) -> tuple[list[int], list[int]]:
    """Return the numbers of an action's training and test films in a split.

    Split 2 tests the next `test_films` of all films, and so on, in a cycle: as long as there are at least twice as many
    training as test films, no film is tested in two splits.

    Args:
        train_films: Training films per action.
        test_films: Test films per action.
        split: One of `SPLITS`.
    """
    numbers = [*range(TEST_NUMBERS, TEST_NUMBERS + test_films), *range(train_films)]
    first = test_films * (split - 1)
    tested = [numbers[(first + offset) % len(numbers)] for offset in range(test_films)]
    return [number for number in numbers if number not in set(tested)], tested


def draw_shots(numbers: Sequence[int], num_shots: int, seed: int, split: int) -> list[int]:
    """Draw K training films, the same numbers for every action: an order pair then trains on reversed films.

    Args:
        numbers: Numbers of the training films.
        num_shots: Number K.
        seed: Seed of the draw.
        split: Number of the split; another one gives another draw.

    Raises:
        DataError: There are fewer than K films.
    """
    if num_shots > len(numbers):
        raise DataError(
            f"--data.num_shots is {num_shots}, but there are {len(numbers)} training films per action; "
            "set --data.train_films to at least as many."
        )
    rng = np.random.default_rng([seed, split])
    return [numbers[position] for position in sorted(rng.choice(len(numbers), num_shots, replace=False))]


def check_seed(name: str, value: object) -> None:
    """Check that a seed is a whole number from 0.

    Raises:
        DataError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise DataError(f"The {name} is {value!r}; it must be a whole number from 0.")
