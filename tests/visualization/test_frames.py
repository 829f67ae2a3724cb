"""Pixels to images, patches to pixels, and frames to figures."""

import numpy as np
import pytest
import torch

from tc_clip_pl.visualization import join_frames, plot_frames, to_images, upscale
from tc_clip_pl.visualization.frames import grid_side, patches_to_pixels


def test_to_images_scales_to_0_and_1():
    video = torch.randint(0, 256, (4, 3, 6, 8), dtype=torch.uint8)
    images = to_images(video)
    assert images.dtype == np.float32
    for t, c, y, x in np.ndindex(4, 3, 6, 8):
        assert images[t, y, x, c] == np.float32(video[t, c, y, x].item()) / 255


@pytest.mark.parametrize("shape", [(1, 4, 3, 6, 8), (4, 6, 8, 3)])
def test_to_images_raises_on_batches_and_other_layouts(shape):
    with pytest.raises(ValueError, match=r"\(T, 3, H, W\) uint8"):
        to_images(torch.zeros(shape, dtype=torch.uint8))


def test_to_images_raises_on_normalized_videos():
    with pytest.raises(ValueError, match=r"uint8, not .* torch\.float32"):
        to_images(torch.zeros(4, 3, 6, 8))


def test_upscale_repeats_pixels(images):
    large = upscale(images, min_side=40)  # 3 x 16 is the first multiple above it
    assert large.shape == (3, 48, 48, 3)
    for y, x in [(0, 0), (17, 46), (47, 5)]:
        np.testing.assert_array_equal(large[:, y, x], images[:, y // 3, x // 3])


def test_join_frames_puts_white_between_frames_only(images):
    joined = join_frames(images, gap=2)
    assert joined.shape == (16, 3 * 16 + 2 * 2, 3)
    for t in range(3):
        np.testing.assert_array_equal(joined[:, 18 * t : 18 * t + 16], images[t])
    assert (joined[:, 16:18] == 1).all() and (joined[:, 34:36] == 1).all()


def test_upscale_leaves_large_frames_unchanged(images):
    np.testing.assert_array_equal(upscale(images, min_side=16), images)


def test_patches_to_pixels_is_row_major():
    values = np.arange(2 * 9).reshape(2, 9)
    pixels = patches_to_pixels(values, (6, 12))
    for t, y, x in np.ndindex(2, 6, 12):
        assert pixels[t, y, x] == values[t, (y // 2) * 3 + x // 4]


@pytest.mark.parametrize("num_patches", [0, 2, 50])
def test_grid_side_raises_without_a_square(num_patches):
    with pytest.raises(ValueError, match=f"{num_patches} patches do not fill a square"):
        grid_side(num_patches)


def test_patches_to_pixels_raises_if_patches_do_not_divide_the_frame():
    with pytest.raises(ValueError, match="10 x 12 pixels cannot be divided into 3 x 3"):
        patches_to_pixels(np.zeros((1, 9)), (10, 12))


def test_plot_frames_has_one_axis_per_frame(images):
    figure = plot_frames({"video": images, "again": 1 - images}, title="a clip")
    assert len(figure.axes) == 6
    assert [axes.get_ylabel() for axes in figure.axes] == ["video", "", "", "again", "", ""]
    np.testing.assert_array_equal(figure.axes[4].images[0].get_array(), 1 - images[1])
    figure.canvas.draw()


@pytest.mark.parametrize("lengths", [(), (3, 2)])
def test_plot_frames_raises_on_rows_of_different_length(images, lengths):
    with pytest.raises(ValueError, match="one or more rows with the same number of frames"):
        plot_frames({f"row {n}": images[:length] for n, length in enumerate(lengths)})


def test_color_bar_stands_beside_its_row_and_moves_no_frame(images):
    figure = plot_frames({"video": images, "heat": images}, color_bars={"heat": ("0", "0.25")})
    figure.canvas.draw()
    assert len(figure.axes) == 6
    (bar,) = figure.axes[5].child_axes
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "0.25"]
    left, right = (axes.get_position() for axes in (figure.axes[2], figure.axes[5]))
    assert left.x0 == pytest.approx(right.x0) and left.width == pytest.approx(right.width)
    box = bar.get_tightbbox()
    assert box.x0 > figure.axes[5].get_window_extent().x1 and box.x1 <= figure.bbox.x1  # beside, and not cut off


def test_raises_on_a_color_bar_without_row(images):
    with pytest.raises(ValueError, match="no row heat for a color bar: name one of video"):
        plot_frames({"video": images}, color_bars={"heat": ("least", "most")})
