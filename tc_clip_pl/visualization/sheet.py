"""Rows of frames for paper and film: a sheet whose long rows wrap, and panels side by side for each frame."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

import numpy as np
from matplotlib.figure import Figure

from tc_clip_pl.visualization.frames import draw_images, new_figure

FRAMES_PER_LINE = 8
INCHES_PER_FRAME = 0.82
"""Eight frames and the names fill the width of a page (7 inches)."""
GAP = 6  # pixels between the panels of a film


def plot_sheet(rows: Mapping[str, np.ndarray], title: str = "") -> Figure:
    """Plot rows of frames below each other; a row of more than eight frames takes several lines.

    Args:
        rows: Name of each row -> (T, H, W, 3) frames in 0..1, the same T in all of them.
        title: Title of the figure.

    Returns:
        A figure as wide as a page; saved as PDF its text stays text.
    """
    num_frames = len(next(iter(rows.values())))
    columns, lines = min(num_frames, FRAMES_PER_LINE), ceil(num_frames / FRAMES_PER_LINE)
    size = (INCHES_PER_FRAME * columns + 0.4, (INCHES_PER_FRAME + 0.03) * lines * len(rows) + (0.3 if title else 0))
    figure = new_figure(size)
    axes = figure.subplots(lines * len(rows), columns, squeeze=False)
    for number, (name, images) in enumerate(rows.items()):
        block = axes[number * lines : (number + 1) * lines].ravel()
        draw_images(block[:num_frames], images)
        for unused in block[num_frames:]:
            unused.set_axis_off()
        for line in range(lines):
            name_of_line = name if line == 0 else f"{name}, from {line * columns + 1}"
            block[line * columns].set_ylabel(name_of_line.replace(", ", ",\n"), fontsize=7)
    figure.suptitle(title, fontsize=8)
    return figure


def join_panels(rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """Join the rows to one film, two panels wide.

    Args:
        rows: Name of each row -> (T, H, W, 3) frames in 0..1.

    Returns:
        (T, H', W', 3) uint8, H' and W' even, as video codecs want them; white where there is no panel.
    """
    panels = list(rows.values())
    num_frames, height, width = panels[0].shape[:3]
    columns = min(2, len(panels))
    lines = ceil(len(panels) / columns)
    size = [lines * (height + GAP) - GAP, columns * (width + GAP) - GAP]
    film = np.full((num_frames, size[0] + size[0] % 2, size[1] + size[1] % 2, 3), 255, np.uint8)
    for number, images in enumerate(panels):
        top, left = (number // columns) * (height + GAP), (number % columns) * (width + GAP)
        film[:, top : top + height, left : left + width] = (255 * images.clip(0, 1)).round().astype(np.uint8)
    return film
