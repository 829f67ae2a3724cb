"""A clip and the classes that the model predicts for it."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from tc_clip_pl.visualization.frames import INCHES_PER_FRAME, draw_images, new_figure

CORRECT_COLOR, WRONG_COLOR, OTHER_COLOR = "tab:green", "tab:red", "lightgrey"
BARS_INCHES = 4.5
NAME_WIDTH = 32  # characters; longer class names continue on the next line and leave room for the bars


def plot_prediction(
    images: np.ndarray, probabilities: Tensor, class_names: Sequence[str], label: int, top_k: int = 5
) -> Figure:
    """Plot a clip in two rows of frames, with bars of its most probable classes on the right.

    The bar of the true class is green. That of the predicted class is red if the prediction is wrong.

    Args:
        images: (T, H, W, 3), values in 0..1.
        probabilities: (Y,), summing to 1.
        class_names: Y names.
        label: The true class, in [0, Y).
        top_k: Largest number of bars.

    Returns:
        A figure with T + 1 axes, or T + 2 for an odd T.

    Raises:
        ValueError: If there is not one probability per class.
    """
    if tuple(probabilities.shape) != (len(class_names),):
        shape = tuple(probabilities.shape)
        raise ValueError(f"Pass one probability per class, ({len(class_names)},), not {shape}.")
    columns = -(-len(images) // 2)  # two rows; the last place stays empty for an odd T
    width = INCHES_PER_FRAME * columns
    figure = new_figure((width + BARS_INCHES, 2 * INCHES_PER_FRAME + 0.3))
    figure.suptitle(f"true class: {class_names[label]}")
    left, right = figure.subfigures(1, 2, width_ratios=(width, BARS_INCHES), wspace=0.02)
    axes = left.subplots(2, columns).ravel()
    draw_images(axes[: len(images)], images)
    for empty in axes[len(images) :]:
        empty.set_axis_off()
    _draw_bars(right.subplots(), probabilities, class_names, label, min(top_k, len(class_names)))
    return figure


def _draw_bars(axes: Axes, probabilities: Tensor, class_names: Sequence[str], label: int, top_k: int) -> None:
    values, indices = probabilities.detach().float().cpu().topk(top_k)
    classes = indices.tolist()
    predicted = classes[0]
    # Correct first: where the prediction is right, its bar is green.
    colors = [CORRECT_COLOR if c == label else WRONG_COLOR if c == predicted else OTHER_COLOR for c in classes]
    # Bars stand at positions, not at names: two classes may have the same name.
    bars = axes.barh(range(top_k), values.tolist(), color=colors)
    axes.set_yticks(range(top_k), [textwrap.fill(class_names[c], NAME_WIDTH) for c in classes])
    axes.bar_label(bars, fmt="{:.0%}", padding=3)
    axes.invert_yaxis()  # matplotlib stacks bars upwards; the most probable belongs on top
    axes.set(xlim=(0, 1.15), xticks=[])  # room for the label of a bar that reaches 100 %
    axes.spines[["top", "right", "bottom"]].set_visible(False)
