"""The rows of a model's pictures, and their sheet and film."""

import numpy as np
import pytest
import torch

from tc_clip_pl.visualization.attention_maps import PatchQuery
from tc_clip_pl.visualization.context_sources import draw_seed_tokens
from tc_clip_pl.visualization.frames import to_images, upscale
from tc_clip_pl.visualization.inside import choose_layer, draw_inside
from tc_clip_pl.visualization.sheet import join_panels, plot_sheet


@pytest.fixture
def pixels():
    return torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def output(tiny_model, tiny_video):
    with torch.no_grad():
        return tiny_model(tiny_video[:1], return_sources=True, return_attentions=True)


def test_rows_of_the_last_layer(output, pixels):
    rows = draw_inside(pixels, output, query=PatchQuery(1, 2, 3), beside=output)
    names = ["frames", "seed tokens", "context tokens", "[CLS] attention", "patch attention", "[CLS], frame-wise"]
    assert list(rows) == names
    assert {images.shape for images in rows.values()} == {(4, 192, 192, 3)}
    assert all(images.min() >= 0 and images.max() <= 1 for images in rows.values())
    expected = draw_seed_tokens(upscale(to_images(pixels)), output.sources[-1][0])
    np.testing.assert_array_equal(rows["seed tokens"], expected)


def test_layers_differ_and_the_default_has_context_tokens(output, pixels):
    first, last = (draw_inside(pixels, output, layer)["[CLS] attention"] for layer in (0, 2))
    assert not np.array_equal(first, last)
    assert choose_layer(None, output) == 2
    object.__setattr__(output, "sources", (*output.sources[:2], None))
    assert choose_layer(None, output) == 1
    with pytest.raises(ValueError, match="There is no layer 3: the vision encoder has 0 to 2"):
        draw_inside(pixels, output, 3)
    with pytest.raises(ValueError, match="lies outside 4 frames of"):
        draw_inside(pixels, output, query=PatchQuery(4, 0, 0))


@pytest.mark.parametrize(("num_frames", "lines"), [(4, 1), (8, 1), (12, 2), (16, 2)])
def test_long_rows_wrap(num_frames, lines):
    rows = {name: np.full((num_frames, 16, 16, 3), value) for value, name in enumerate(("frames", "seed tokens"))}
    figure = plot_sheet(rows, "a title")
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 2 * num_frames and len(figure.axes) == 2 * lines * min(num_frames, 8)
    labels = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert labels == [f"{name}{more}" for name in rows for more in ("", ",\nfrom 9")[:lines]]
    assert figure.get_size_inches()[0] <= 7.1


def test_panels_are_side_by_side():
    rows = {str(value): np.full((3, 15, 15, 3), value / 2) for value in range(3)}
    film = join_panels(rows)
    assert film.shape == (3, 36, 36, 3) and film.dtype == np.uint8
    assert (film[0, 0, 0] == 0).all() and (film[0, 0, 21] == 128).all() and (film[0, 21, 0] == 255).all()
    assert (film[:, 21:, 21:] == 255).all()  # no fourth panel
