"""The figure of a clip with the classes that the model sees in it."""

import pytest
import torch
from matplotlib.colors import to_rgba

from tc_clip_pl.visualization import draw_prediction

NAMES = ["wave", "jump", "brush hair"]


def bars_of(figure):
    axes = figure.axes[-1]
    names = [text.get_text() for text in axes.get_yticklabels()]
    return list(zip(names, axes.patches, strict=True))


def test_bars_stand_in_order_beside_the_frames(images):
    figure = draw_prediction(images, torch.tensor([0.1, 0.6, 0.3]), NAMES, label=2)
    assert len(figure.axes) == 2 * 2 + 1  # one place stays empty
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 1, 0, 0]
    assert [(name, round(bar.get_width(), 5)) for name, bar in bars_of(figure)] == [
        ("jump", 0.6),
        ("brush hair", 0.3),
        ("wave", 0.1),
    ]
    figure.canvas.draw()


@pytest.mark.parametrize(
    ("label", "colors"), [(1, ["tab:green", "lightgrey", "lightgrey"]), (2, ["tab:red", "tab:green", "lightgrey"])]
)
def test_colors_say_what_is_right(images, label, colors):
    figure = draw_prediction(images, torch.tensor([0.1, 0.6, 0.3]), NAMES, label)
    assert [bar.get_facecolor() for _, bar in bars_of(figure)] == [to_rgba(color) for color in colors]


def test_shows_the_best_only(images):
    figure = draw_prediction(images, torch.tensor([0.1, 0.6, 0.3]), NAMES, label=0, best=2)
    assert [name for name, _ in bars_of(figure)] == ["jump", "brush hair"]


def test_wants_one_probability_for_each_class(images):
    with pytest.raises(ValueError, match="3 classes need as many probabilities"):
        draw_prediction(images, torch.tensor([[0.1, 0.6, 0.3]]), NAMES, label=0)
