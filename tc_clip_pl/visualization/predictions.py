"""What the model says about a clip, beside the clip."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tc_clip_pl.visualization.frames import INCHES_PER_FRAME, draw_images

RIGHT, WRONG, OTHER = "tab:green", "tab:red", "lightgrey"
BARS_INCHES = 4.5


def draw_prediction(
    images: np.ndarray, probabilities: Tensor, class_names: Sequence[str], label: int, best: int = 5
) -> Figure:
    """Draws a clip in two rows of frames, and at its right the most probable classes as bars.

    The bar of the true class is green; that of the answer is red where it is another one.

    Args:
        images: (T, H, W, 3), values in 0..1.
        probabilities: (Y,), adding up to 1.
        class_names: Y names.
        label: the true class, in [0, Y).
        best: bars at most.

    Returns:
        A figure of T + 1 axes, or T + 2 for an odd T.

    Raises:
        ValueError: where there is not one probability for each class.
    """
    if tuple(probabilities.shape) != (len(class_names),):
        given = tuple(probabilities.shape)
        raise ValueError(f"{len(class_names)} classes need as many probabilities for one clip, not {given}.")
    columns = -(-len(images) // 2)
    width = INCHES_PER_FRAME * columns
    figure = Figure(figsize=(width + BARS_INCHES, 2 * INCHES_PER_FRAME + 0.3), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    figure.suptitle(f"true class: {class_names[label]}")
    left, right = figure.subfigures(1, 2, width_ratios=(width, BARS_INCHES))
    axes = left.subplots(2, columns).ravel()
    draw_images(axes[: len(images)], images)
    for empty in axes[len(images) :]:
        empty.set_axis_off()
    _draw_bars(right.subplots(), probabilities, class_names, label, min(best, len(class_names)))
    return figure


def _draw_bars(axes: Axes, probabilities: Tensor, class_names: Sequence[str], label: int, best: int) -> None:
    values, classes = probabilities.detach().float().cpu().topk(best)
    answer = int(classes[0])
    colors = [RIGHT if c == label else WRONG if c == answer else OTHER for c in classes.tolist()]
    bars = axes.barh([class_names[c] for c in classes.tolist()], values.tolist(), color=colors)
    axes.bar_label(bars, fmt="{:.0%}", padding=3)
    axes.invert_yaxis()  # the most probable on top
    axes.set(xlim=(0, 1.15), xticks=[])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
