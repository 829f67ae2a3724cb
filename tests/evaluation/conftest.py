"""A stand-in for the test sets of a data module."""

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class FakeEvaluationSet:
    dataset: str
    part: str
    class_names: tuple = ()

    @property
    def name(self):
        return f"{self.dataset}/{self.part}"


@pytest.fixture
def evaluation_set():
    """Builds a test set from its dataset, part and class names."""
    return FakeEvaluationSet
