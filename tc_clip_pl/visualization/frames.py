"""Frames as images: pixels to images, patches to pixels, and rows of frames in one figure."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from torch import Tensor

INCHES_PER_FRAME = 1.3
HEAT_COLORS = "turbo"
"""matplotlib's color map of all heatmaps, from blue (least) to red (most)."""
RED = (1.0, 0.0, 0.0)
"""Marks what a figure is about: the query patch, the highlighted context token."""


def to_images(video: Tensor) -> np.ndarray:
    """Convert the pixels of a video to images.

    Args:
        video: (T, 3, H, W) uint8, as a data loader returns a view. Normalized videos are for models, not for figures.

    Returns:
        (T, H, W, 3) float32, values in 0..1.

    Raises:
        ValueError: If the video has another shape or dtype.
    """
    if video.ndim != 4 or video.shape[1] != 3 or video.dtype != torch.uint8:
        given = f"{tuple(video.shape)} {video.dtype}"
        raise ValueError(f"Pass the pixels of one video, (T, 3, H, W) uint8, not {given}.")
    return video.movedim(1, -1).cpu().numpy().astype(np.float32) / 255


def upscale(images: np.ndarray, min_side: int = 192) -> np.ndarray:
    """Upscale small frames by repeating pixels, so that there is room for borders between patches.

    The factor is a whole number, so patches stay aligned with pixels. Large frames are returned unchanged.

    Args:
        images: (T, H, W, 3).
        min_side: Least length of the shorter side after scaling, in pixels.

    Returns:
        (T, f * H, f * W, 3).
    """
    factor = -(-min_side // min(images.shape[1:3]))
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def join_frames(images: np.ndarray, gap: int = 4) -> np.ndarray:
    """Join the frames of a video into one image, from left to right, with white between them.

    Args:
        images: (T, H, W, 3), values in 0..1.
        gap: Pixels between two frames.

    Returns:
        (H, T * W + (T - 1) * gap, 3).
    """
    between = np.ones((*images.shape[:2], gap, 3), images.dtype)
    return np.concatenate([part for pair in zip(images, between, strict=True) for part in pair][:-1], axis=1)


def grid_side(num_patches: int) -> int:
    """Return the number of patches along one side of a square frame.

    Raises:
        ValueError: If they do not fill a square.

    Example:
        >>> grid_side(196)
        14
    """
    side = math.isqrt(num_patches)
    if side == 0 or side * side != num_patches:
        raise ValueError(f"{num_patches} patches do not fill a square frame.")
    return side


def patches_to_pixels(values: np.ndarray, frame_size: Sequence[int]) -> np.ndarray:
    """Give every pixel the value of its patch.

    Args:
        values: (T, P), patches in row-major order.
        frame_size: H and W, both multiples of the number of patches along a side.

    Returns:
        (T, H, W), in the dtype of the values.

    Raises:
        ValueError: If the patches do not fill a square, or do not divide the frame evenly.
    """
    side, (height, width) = grid_side(values.shape[1]), frame_size
    if height % side or width % side:
        raise ValueError(f"Frames of {height} x {width} pixels cannot be divided into {side} x {side} equal patches.")
    grid = values.reshape(len(values), side, side)
    return grid.repeat(height // side, axis=1).repeat(width // side, axis=2)


def plot_frames(
    rows: Mapping[str, np.ndarray], title: str = "", color_bars: Mapping[str, tuple[str, str]] | None = None
) -> Figure:
    """Plot videos below each other, one row of frames each (the layout of Figs. 6, 7 and 9-11).

    Args:
        rows: Label of each row -> (T, H, W, 3) frames, values in 0..1; the same T in every row.
        title: Title of the figure.
        color_bars: Label of a heatmap's row -> labels of the two ends of its color bar, from `heatmap_range`.

    Returns:
        A figure with ``len(rows) * T`` axes and one per color bar, to display in a notebook or to save with
        ``figure.savefig(path)``.

    Raises:
        ValueError: If there are no rows, their numbers of frames differ, or a color bar belongs to no row.
    """
    lengths = {name: len(images) for name, images in rows.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"Pass one or more rows with the same number of frames, not {lengths}.")
    color_bars = color_bars or {}
    if unknown := color_bars.keys() - rows:
        raise ValueError(f"There is no row {', '.join(unknown)} for a color bar: name one of {', '.join(rows)}.")
    num_frames = next(iter(lengths.values()))
    size = (
        INCHES_PER_FRAME * num_frames + (1 if color_bars else 0.3),
        INCHES_PER_FRAME * len(rows) + (0.3 if title else 0),
    )
    figure = new_figure(size)
    axes = figure.subplots(len(rows), num_frames, squeeze=False)
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        draw_images(row, images)
        row[0].set_ylabel(name)
        if name in color_bars:
            # Inside the last frame's axes, beyond its right edge: bars of their own would shift this row's frames.
            beside = row[-1].inset_axes((1.06, 0, 0.07, 1))
            bar = figure.colorbar(ScalarMappable(cmap=HEAT_COLORS), cax=beside)
            bar.set_ticks([0, 1], labels=color_bars[name])
    figure.suptitle(title)
    return figure


def new_figure(size: tuple[float, float]) -> Figure:
    """Return an empty figure of a size in inches, with hardly any space between its axes."""
    # Not `pyplot.figure`: pyplot keeps every figure in memory until it is closed.
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    return figure


def draw_images(axes: Sequence[Axes], images: np.ndarray) -> None:
    """Draw one frame into each of the axes, without ticks and frame lines.

    Args:
        axes: T axes.
        images: (T, H, W, 3), values in 0..1.
    """
    for axis, image in zip(axes, images, strict=True):
        axis.imshow(image)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
