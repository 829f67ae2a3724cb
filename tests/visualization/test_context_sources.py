"""Seed and context tokens match explicit loops over pixels."""

import numpy as np
import pytest
import torch

from tc_clip_pl.visualization import draw_context_tokens, draw_seed_tokens, map_context_tokens, most_persistent_token
from tc_clip_pl.visualization.context_sources import border_colors, token_borders


def token_at(tokens, t, y, x):
    return tokens[t, 2 * (y // 8) + x // 8]


def test_map_inverts_the_sources(sources, tokens):
    np.testing.assert_array_equal(map_context_tokens(sources, 3), tokens)


@pytest.mark.parametrize("change", [lambda s: s[None], lambda s: s.float(), lambda s: s[:, :11]])
def test_raises_on_sources_of_wrong_shape_or_dtype(sources, change):
    with pytest.raises(ValueError, match=r"one video and one layer, \(K, 3 \* P\) bool"):
        map_context_tokens(change(sources), 3)


def test_raises_on_overlapping_sources(sources):
    with pytest.raises(ValueError, match="overlap"):
        map_context_tokens(sources | sources.roll(1, dims=0), 3)


def test_most_persistent_token_is_in_most_frames(sources):
    assert most_persistent_token(sources, 3) == 0


def test_fewer_patches_break_a_tie_of_persistence():
    sources = torch.tensor([[1, 1, 0, 0, 1, 0, 0, 0], [0, 0, 1, 0, 0, 0, 1, 0]], dtype=torch.bool)
    assert most_persistent_token(sources, 2) == 1


def test_only_patches_without_seed_fade(images, sources, tokens):
    drawn = draw_seed_tokens(images, sources, fade=0.75)
    for t, y, x in np.ndindex(3, 16, 16):
        pixel = images[t, y, x]
        expected = pixel if token_at(tokens, t, y, x) >= 0 else 0.25 * pixel + 0.75
        np.testing.assert_allclose(drawn[t, y, x], expected, atol=1e-6)


def test_fill_is_the_average_color(images, sources, tokens):
    drawn = draw_context_tokens(images, sources, border=0)
    colors = {-1: np.ones(3)}
    for k in range(4):
        pixels = [images[i] for i in np.ndindex(3, 16, 16) if token_at(tokens, *i) == k]
        colors[k] = np.mean(pixels, axis=0)
    for t, y, x in np.ndindex(3, 16, 16):
        np.testing.assert_allclose(drawn[t, y, x], colors[token_at(tokens, t, y, x)], atol=1e-5)


def test_border_has_the_color_of_its_token(images, sources, tokens):
    plain, drawn = (draw_context_tokens(images, sources, border=width) for width in (0, 2))
    line = border_colors(4)
    is_border = token_borders(tokens.reshape(3, 2, 2).repeat(8, 1).repeat(8, 2), 2)
    for t, y, x in np.ndindex(3, 16, 16):
        expected = line[token_at(tokens, t, y, x)] if is_border[t, y, x] else plain[t, y, x]
        np.testing.assert_allclose(drawn[t, y, x], expected, atol=1e-6)


@pytest.mark.parametrize(("border", "width"), [(0, 1), (1, 2), (2, 2), (3, 3)])
def test_highlight_is_a_red_outline_that_leaves_the_fill_visible(images, sources, tokens, border, width):
    plain, drawn = (draw_context_tokens(images, sources, k, border) for k in (None, 3))
    pixels = np.where(tokens == 3, 3, -1).reshape(3, 2, 2).repeat(8, 1).repeat(8, 2)
    is_outline = token_borders(pixels, width)
    assert (drawn[is_outline] == (1, 0, 0)).all()
    np.testing.assert_array_equal(drawn[~is_outline], plain[~is_outline])
    assert (pixels == 3).sum() > is_outline.sum() > 0


def test_borders_run_between_tokens_and_along_the_frame():
    tokens = np.repeat([[0] * 4 + [-1] * 4 + [1] * 4], 6, axis=0)[None]  # (1, 6, 12)
    drawn = ["".join(".#"[pixel] for pixel in row) for row in token_borders(tokens, 1)[0].astype(int)]
    assert drawn == ["####....####"] + 4 * ["#..#....#..#"] + ["####....####"]


def test_border_colors_are_distinct_and_not_red():
    colors = border_colors(96)
    assert len(np.unique(colors, axis=0)) == 96
    assert np.abs(colors - (1, 0, 0)).sum(axis=1).min() > 0.3


@pytest.mark.parametrize("token", [-1, 4])
def test_raises_on_unknown_token(images, sources, token):
    with pytest.raises(ValueError, match=f"no context token {token}: choose one of 0 to 3"):
        draw_context_tokens(images, sources, highlight=token)


def test_draws_the_sources_of_a_model(tiny_model, tiny_video):
    with torch.no_grad():
        sources = tiny_model(tiny_video, return_sources=True).sources[-1][0]
    drawn = draw_context_tokens(np.zeros((4, 32, 32, 3)), sources, border=0)
    assert (drawn == 0).all(-1).sum() == sources.sum() * 8 * 8  # black patches on white
