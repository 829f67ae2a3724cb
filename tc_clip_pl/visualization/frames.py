"""Frames as pictures, patches as parts of them, and rows of pictures as one figure."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

INCHES_PER_FRAME = 1.3
RED = (1.0, 0.0, 0.0)
"""What is pointed out: the patch that attends, the context token to follow."""


def denormalize(video: Tensor, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Undoes the normalization of a video, so that its frames can be looked at.

    Args:
        video: (T, 3, H, W), as the model reads it.
        mean: of red, green and blue, in 0..255, as the data module has them.
        std: the same.

    Returns:
        (T, H, W, 3) float32 pictures, values in 0..1.

    Raises:
        ValueError: where the video is not that of one view of one clip.
    """
    if video.ndim != 4 or video.shape[1] != 3:
        raise ValueError(f"Give the frames of one video, (T, 3, H, W), not {tuple(video.shape)}.")
    pixels = video.detach().float().cpu().movedim(1, -1).numpy()
    return ((pixels * np.float32(std) + np.float32(mean)) / 255).clip(0, 1)


def enlarge(images: np.ndarray, min_side: int = 192) -> np.ndarray:
    """Repeats pixels a whole number of times, so that small frames leave room for borders; large ones stay as they are.

    Args:
        images: (T, H, W, 3).
        min_side: pixels that the shorter side has at least afterwards.

    Returns:
        (T, f * H, f * W, 3).
    """
    factor = -(-min_side // min(images.shape[1:3]))
    return images.repeat(factor, axis=1).repeat(factor, axis=2)


def grid_side(num_patches: int) -> int:
    """Patches along one side of a square frame.

    Raises:
        ValueError: where they do not fill a square.

    Example:
        >>> grid_side(196)
        14
    """
    side = math.isqrt(num_patches)
    if side == 0 or side * side != num_patches:
        raise ValueError(f"{num_patches} patches do not fill a square frame.")
    return side


def patches_to_pixels(values: np.ndarray, frame_size: Sequence[int]) -> np.ndarray:
    """Gives every pixel the value of its patch.

    Args:
        values: (T, P), patches row by row.
        frame_size: H and W, whole multiples of the patches along a side.

    Returns:
        (T, H, W), in the dtype of the values.

    Raises:
        ValueError: where the patches do not fill a square, or do not divide the frame evenly.
    """
    side, (height, width) = grid_side(values.shape[1]), frame_size
    if height % side or width % side:
        raise ValueError(f"Frames of {height} x {width} pixels cannot be cut into {side} x {side} equal patches.")
    grid = values.reshape(len(values), side, side)
    return grid.repeat(height // side, axis=1).repeat(width // side, axis=2)


def frames_grid(rows: Mapping[str, np.ndarray], title: str = "") -> Figure:
    """Draws videos under each other, each with its frames in a row (the layout of Figs. 6, 7 and 9-11).

    Args:
        rows: what stands at the left of each row -> (T, H, W, 3) pictures, values in 0..1; the same T in every row.
        title: what stands above the figure.

    Returns:
        A figure of ``len(rows) * T`` axes that no window holds on to: show it in a notebook or `figure.savefig(path)`.

    Raises:
        ValueError: where there are no rows, or they differ in their number of frames.
    """
    lengths = {name: len(images) for name, images in rows.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"A grid takes one or more rows with the same number of frames, not {lengths}.")
    columns = next(iter(lengths.values()))
    size = (INCHES_PER_FRAME * columns + 0.3, INCHES_PER_FRAME * len(rows) + (0.3 if title else 0))
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        draw_images(row, images)
        row[0].set_ylabel(name)
    figure.suptitle(title)
    return figure


def draw_images(axes: Sequence[Axes], images: np.ndarray) -> None:
    """Draws one picture into each of the axes, without ticks.

    Args:
        axes: T axes.
        images: (T, H, W, 3), values in 0..1.
    """
    for axis, image in zip(axes, images, strict=True):
        axis.imshow(image)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
