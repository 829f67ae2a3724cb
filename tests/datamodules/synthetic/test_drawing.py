"""Pictures show what the parameters say."""

import numpy as np
import pytest
import torch

from datamodules.synthetic.behaviors import ANGLE, COLOR, GAP, PLACE, SHAPE, SIZE, TEXTURE
from datamodules.synthetic.drawing import CHANNELS, SHAPE_NUMBER, SHAPES, TEXTURES, WAVE_CHANNELS, Frames, draw_frames

WIDTH = 48
WHITE = 255.0


def draw(shape="disc", texture="plain", place=(0.5, 0.5), size=0.25, angle=0.0, gap=0.0, color=(WHITE,) * 3, waves=0.0):
    """One frame of one actor on black: (H, W, 3) float."""
    actor = torch.zeros(1, 1, len(CHANNELS))
    actor[..., PLACE], actor[..., COLOR] = torch.tensor(place), torch.tensor(color)
    actor[..., SIZE], actor[..., ANGLE], actor[..., GAP] = size, angle, gap
    actor[..., SHAPE], actor[..., TEXTURE] = SHAPE_NUMBER[shape], TEXTURES.index(texture)
    wave = torch.zeros(1, 1, len(WAVE_CHANNELS))
    wave[..., 0], wave[..., -1] = 20.0, waves
    return draw_frames(Frames(actor, wave, torch.zeros(1, 3)), WIDTH)[0].movedim(0, -1).float()


def center(picture):
    weight = picture.sum(-1)
    pixels = (torch.arange(WIDTH) + 0.5) / WIDTH
    return [(weight.sum(0) * pixels).sum() / weight.sum(), (weight.sum(1) * pixels).sum() / weight.sum()]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_where_its_parameters_say(shape):
    picture = draw(shape, place=(0.6, 0.35), size=0.15)
    assert center(picture) == pytest.approx([0.6, 0.35], abs=0.04)
    assert 0.2 < picture.sum() / (WHITE * 3 * WIDTH**2) / (np.pi * 0.15**2) < 1.2


@pytest.mark.parametrize("shape", SHAPES)
def test_twice_the_size_is_four_times_the_area(shape):
    small, large = draw(shape, size=0.15), draw(shape, size=0.3)
    assert large.sum() / small.sum() == pytest.approx(4, rel=0.12)


@pytest.mark.parametrize("shape", ["triangle", "diamond", "hexagon", "star"])
def test_a_corner_points_up(shape):
    rows = (draw(shape, size=0.35).sum(-1) > 0).sum(1)
    rows = rows[rows > 0]
    assert rows[0] <= 3 and rows[: len(rows) // 4].diff().min() >= 0


def test_a_diamond_is_no_square_of_another_size():
    diamond, squares = draw("diamond"), [draw("square", size=size) for size in np.linspace(0.15, 0.3, 31)]
    overlaps = [torch.minimum(diamond, square).sum() / torch.maximum(diamond, square).sum() for square in squares]
    assert max(overlaps) < 0.75


def test_color_is_that_of_the_actor():
    assert draw(color=(200.0, 100.0, 50.0))[WIDTH // 2, WIDTH // 2].tolist() == [200, 100, 50]


def test_a_size_of_0_hides_an_actor():
    assert draw(size=0.0).sum() == 0


def test_an_actor_covers_the_background():
    picture = draw(waves=100.0)
    assert picture[WIDTH // 2, WIDTH // 2].tolist() == [WHITE] * 3
    assert picture[:2].max() > 50 and picture[:2].min() == 0


@pytest.mark.parametrize("texture", TEXTURES[1:])
def test_a_texture_darkens_a_part(texture):
    plain, textured = draw(), draw(texture=texture)
    assert 0.3 < textured.sum() / plain.sum() < 0.8
    others = [draw(texture=other) for other in TEXTURES if other != texture]
    assert all((textured - other).abs().mean() > 5 for other in others)


def test_a_gap_opens_the_ring_where_its_angle_says():
    half = draw("ring", gap=np.pi, size=0.4)  # a gap of half of the ring, to the right
    assert half.sum() / draw("ring", size=0.4).sum() == pytest.approx(0.5, abs=0.05)
    assert center(half)[0] < 0.4 and center(draw("ring", gap=np.pi, angle=np.pi, size=0.4))[0] > 0.6


def test_frames_are_drawn_alike_alone_and_together():
    actors = torch.rand(3, 2, len(CHANNELS)) * 0.3 + 0.2
    frames = Frames(actors, torch.rand(3, 2, len(WAVE_CHANNELS)), torch.full((3, 3), 90.0))
    alone = [draw_frames(Frames(*(value[[i]] for value in vars(frames).values())), 16) for i in range(3)]
    assert torch.equal(draw_frames(frames, 16), torch.cat(alone))
