"""Which survivors count as accepted: those of the table, and no others."""

import runpy
from pathlib import Path

import pytest

Accepted = runpy.run_path(str(Path(__file__).with_name("accepted.py")))["Accepted"]


@pytest.mark.parametrize(
    ("survivor", "is_accepted"),
    [
        ("datamodules/splits/split.py:9: frozen=True -> frozen=False", True),
        ("datamodules/splits/split.py:9: UNLABELED = -2 -> UNLABELED = - 3", True),
        ("datamodules/splits/split.py:9: a < b -> a <= b", False),  # its folder has a row among the scores
    ],
)
def test_only_patterns_of_the_table_accept(survivor, is_accepted):
    assert (survivor in Accepted()) == is_accepted
