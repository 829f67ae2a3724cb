"""The figure of a clip and its most probable classes."""

import pytest
import torch
from matplotlib.colors import to_rgba

from tc_clip_pl.visualization import plot_prediction

NAMES = ["wave", "jump", "brush hair"]


def bars_of(figure):
    axes = figure.axes[-1]
    names = [text.get_text() for text in axes.get_yticklabels()]
    return list(zip(names, axes.patches, strict=True))


def test_bars_are_in_descending_order(images):
    figure = plot_prediction(images, torch.tensor([0.1, 0.6, 0.3]), NAMES, label=2)
    assert len(figure.axes) == 2 * 2 + 1  # the last place stays empty
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
def test_colors_show_whether_the_prediction_is_correct(images, label, colors):
    figure = plot_prediction(images, torch.tensor([0.1, 0.6, 0.3]), NAMES, label)
    assert [bar.get_facecolor() for _, bar in bars_of(figure)] == [to_rgba(color) for color in colors]


def test_shows_only_the_top_k(images):
    figure = plot_prediction(images, torch.tensor([0.1, 0.6, 0.3]), NAMES, label=0, top_k=2)
    assert [name for name, _ in bars_of(figure)] == ["jump", "brush hair"]


def test_raises_without_one_probability_per_class(images):
    with pytest.raises(ValueError, match=r"one probability per class, \(3,\), not \(1, 3\)"):
        plot_prediction(images, torch.tensor([[0.1, 0.6, 0.3]]), NAMES, label=0)


def test_long_class_names_leave_room_for_the_bars(images):
    long = "putting something that cannot roll onto a slanted surface, so it stays where it is"
    figure = plot_prediction(images, torch.tensor([0.1, 0.6, 0.3]), [long, long, "wave"], label=1)
    figure.canvas.draw()
    assert [name.replace("\n", " ") for name, _ in bars_of(figure)] == [long, "wave", long]  # twins have a bar each
    assert figure.axes[-1].get_position().width > 0.5
