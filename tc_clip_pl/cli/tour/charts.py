"""The charts of the report: accuracy by ensemble weight, and what is confused with what."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from datamodules.synthetic.actions import GROUPS, Group
from tc_clip_pl.cli.tour.accuracies import Confusion, expected

COLORS = ("tab:gray", "tab:orange")
WRAP = 12
"""Letters in a line of the names of actions."""
EXPECTED_STYLE = {"color": "black", "linestyle": ":", "linewidth": 1}


def draw_accuracy_by_weight(methods: Mapping[str, Mapping[float, Confusion]]) -> Figure:
    """Draw the accuracy of each group by ensemble weight, a line per method, and what is expected frame by frame.

    Args:
        methods: Method -> ensemble weight -> confusion.
    """
    figure = Figure(figsize=(9, 2.9), layout="constrained")
    panels = figure.subplots(1, len(GROUPS), sharey=True)
    for axes, group in zip(panels, GROUPS, strict=True):
        for (method, confusions), color in zip(methods.items(), COLORS, strict=True):
            points = sorted((weight, 100 * each.accuracy(group)) for weight, each in confusions.items())
            axes.plot(*zip(*points, strict=True), "o-", color=color, label=method)
        actions = next(iter(confusions.values())).actions
        axes.axhline(100 * expected(actions, group, "frame"), label="expected, frame by frame", **EXPECTED_STYLE)
        axes.set(title=group, xlabel="w", ylim=(0, 105))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("top-1 (%)")
    panels[0].legend(loc="lower left", fontsize=8)
    return figure


def draw_confusions(methods: Mapping[str, Confusion], group: Group) -> Figure:
    """Draw what each method answers for the films of a group, side by side; cells count films.

    Args:
        methods: Method -> confusion.
        group: The group, whose actions are of one family.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panels = figure.subplots(1, len(methods), sharey=True)
    for axes, (method, confusion) in zip(panels, methods.items(), strict=True):
        actions = [confusion.actions[label] for label in confusion.labels(group)]
        names = [fill(action.name.removeprefix(action.family), WRAP) for action in actions]
        _draw_counts(axes, confusion.within(group))
        axes.set_title(f"{method}: {100 * confusion.accuracy(group):.0f} %")
        axes.set_xticks(range(len(names) + 1), [*names, fill("another group", WRAP)], fontsize=9)
        axes.set_yticks(range(len(names)), names, fontsize=9)
        axes.set_xlabel("predicted")
    panels[0].set_ylabel("true")
    return figure


def _draw_counts(axes: Axes, counts: np.ndarray) -> None:
    shares = counts / counts.sum(1, keepdims=True)
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues", aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        color = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{count}", ha="center", va="center", fontsize=9, color=color)
