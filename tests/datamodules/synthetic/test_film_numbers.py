"""Which films train and which are tested."""

import pytest

from datamodules.errors import DataError
from datamodules.synthetic.film_numbers import SPLITS, TEST_NUMBERS, check_seed, draw_shots, split_numbers


def test_split_1_trains_on_the_first_films():
    assert split_numbers(3, 2, 1) == ([0, 1, 2], [TEST_NUMBERS, TEST_NUMBERS + 1])


def test_splits_test_different_films_and_never_train_on_them():
    splits = [split_numbers(4, 2, split) for split in SPLITS]
    for train, test in splits:
        assert sorted([*train, *test]) == [0, 1, 2, 3, TEST_NUMBERS, TEST_NUMBERS + 1] and len(test) == 2
    assert len({number for _, test in splits for number in test}) == 6


def test_more_training_films_change_no_test_of_split_1():
    assert split_numbers(4, 2, 1)[1] == split_numbers(64, 2, 1)[1]


def test_shots_are_some_of_the_films_and_depend_on_seed_and_split():
    numbers = range(100, 164)
    draws = [draw_shots(numbers, 8, *key) for key in [(0, 1), (0, 1), (1, 1), (0, 2)]]
    assert draws[0] == draws[1] and draws[2] != draws[0] != draws[3]
    assert all(len(set(draw)) == 8 and set(draw) <= set(numbers) for draw in draws)


def test_raises_on_too_few_films():
    with pytest.raises(DataError, match=r"--data\.num_shots is 5, but there are 4 training films per action"):
        draw_shots(range(4), 5, 0, 1)


@pytest.mark.parametrize("value", ["abc", 1.5, -1, True, None])
def test_raises_on_a_seed_that_is_no_number(value):
    with pytest.raises(DataError, match=r"The world_seed is .*; it must be a whole number from 0\.$"):
        check_seed("world_seed", value)
