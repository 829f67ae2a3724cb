"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_NAMED_CLASSES = 120
"""With more classes than this the names along the axes would overlap and are left out."""
MAX_COUNTED_CLASSES = 20
"""With more classes than this the counts in the cells would be too small to read and are left out."""
INCHES_PER_COUNTED_CLASS = 0.3


def draw_confusion_matrix(confusion: Sequence[Sequence[int]], class_names: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix with each row normalized by the clips of its true class.

    Up to 20 classes, each cell shows its number of clips.

    Args:
        confusion: (Y, Y) counts, one row per true class.
        class_names: Y names for the axes.
        title: Title above the picture.

    Returns:
        A figure, to be saved by `figure.savefig(path)`.
    """
    # Not pyplot: it would keep every figure alive, and pick a backend that may need a display.
    from matplotlib.figure import Figure

    counts = np.asarray(confusion, dtype=float)
    # A class without clips has a row of zeros; dividing it by 1 keeps the zeros.
    shares = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    has_counts = len(class_names) <= MAX_COUNTED_CLASSES
    # A cell with a count needs room for four digits.
    inches = 4 + (INCHES_PER_COUNTED_CLASS if has_counts else 0.14) * min(len(class_names), MAX_NAMED_CLASSES)
    figure = Figure(figsize=(inches + 0.8, inches), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    figure.colorbar(image, ax=axes, shrink=0.7, label="share of the true class")
    axes.set(title=title, xlabel="predicted", ylabel="true")
    if len(class_names) <= MAX_NAMED_CLASSES:
        axes.set_xticks(range(len(class_names)), class_names, rotation=90, fontsize=6)
        axes.set_yticks(range(len(class_names)), class_names, fontsize=6)
    if has_counts:
        _write_counts(axes, counts, shares)
    return figure


def _write_counts(axes: Axes, counts: np.ndarray, shares: np.ndarray) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:  # zeros would hide the few cells that matter
            color = "white" if shares[row, column] > 0.5 else "black"  # readable on dark and on light blue
            axes.text(column, row, f"{count:.0f}", ha="center", va="center", fontsize=7, color=color)
