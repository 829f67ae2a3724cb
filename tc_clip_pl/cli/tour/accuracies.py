"""Accuracy by group of actions, beside what theory expects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datamodules.synthetic.actions import GROUPS, SEEN, Action, Group, Sees, expected_accuracy

ACTIONS = {action.name: action for action in SEEN}


@dataclass(frozen=True)
class Confusion:
    """What a model answered.

    Attributes:
        actions: Y actions; the position is the label.
        counts: (Y, Y) films, `counts[true, predicted]`.
    """

    actions: tuple[Action, ...]
    counts: np.ndarray

    def accuracy(self, group: Group) -> float:
        """Return the share of a group's films, in [0, 1], that are classified correctly among all actions."""
        rows = self.labels(group)
        return float(self.counts[rows, rows].sum() / self.counts[rows].sum())

    def num_films(self, group: Group) -> int:
        """Return the number of films of a group."""
        return int(self.counts[self.labels(group)].sum())

    def within(self, group: Group) -> np.ndarray:
        """Return (n, n + 1) films of the n actions of a group; the last column is any action of another group."""
        rows = self.labels(group)
        inside = self.counts[np.ix_(rows, rows)]
        return np.column_stack([inside, self.counts[rows].sum(1) - inside.sum(1)])

    def agreement(self, behavior: str) -> float:
        """Return the share of relational films, in [0, 1], answered by an action that agrees on a part of the behavior.

        Args:
            behavior: A word in the names of behaviors: `recolor` for whether the color changes, `jump` for the place.
        """
        rows = self.labels("relational")
        does = np.array([behavior in self.actions[label].behavior for label in rows])
        inside = self.counts[np.ix_(rows, rows)]
        return float(inside[does[:, None] == does].sum() / self.counts[rows].sum())

    def labels(self, group: Group) -> list[int]:
        """Return the labels of a group's actions."""
        return [label for label, action in enumerate(self.actions) if action.group == group]


def read_confusions(results: Mapping[str, Any]) -> dict[float, Confusion]:
    """Read what a run answered from its results: ensemble weight -> confusion.

    Raises:
        KeyError: A class is no action of the generated world.
    """
    found = {}
    for run in results["runs"]:
        (entry,) = run["test_sets"].values()  # the demo tests one
        actions = tuple(ACTIONS[name] for name in entry["per_class_top1"])
        found[run["ensemble_weight"]] = Confusion(actions, np.array(entry["confusion_matrix"]))
    return found


def expected(actions: Sequence[Action], group: Group, sees: Sees) -> float:
    """Return what theory expects of a model on a group, in [0, 1]."""
    return expected_accuracy([action for action in actions if action.group == group], sees)


@dataclass(frozen=True)
class Row:
    """A row of the table: accuracies of a model by group, in percent, or what theory expects."""

    name: str
    values: tuple[float, ...]
    is_expected: bool = False


def accuracy_rows(frame_wise: Mapping[float, Confusion], tc_clip: Mapping[float, Confusion]) -> list[Row]:
    """Return the table: what is expected of each kind of model, then what it reaches with every ensemble weight."""
    actions = next(iter(frame_wise.values())).actions
    return [
        _expected_row("Expected, frame by frame", actions, "frame"),
        *_measured_rows("frame-wise", frame_wise, "CLIP, zero-shot (w = 0)"),
        _expected_row("Expected, frames compared without their order", actions, "set"),
        *_measured_rows("TC-CLIP", tc_clip, "TC-CLIP, CLIP's encoders (w = 0)"),
    ]


def _expected_row(name: str, actions: Sequence[Action], sees: Sees) -> Row:
    return Row(name, tuple(100 * expected(actions, group, sees) for group in GROUPS), is_expected=True)


def _measured_rows(method: str, confusions: Mapping[float, Confusion], of_clip: str) -> Iterable[Row]:
    for weight, confusion in sorted(confusions.items()):
        named = {0.0: of_clip, 1.0: f"{method}, fine-tuned (w = 1)"}
        values = tuple(100 * confusion.accuracy(group) for group in GROUPS)
        yield Row(named.get(weight, f"{method}, ensembled (w = {weight:g})"), values)
