"""Attention maps match explicit loops and a model's own attention."""

import numpy as np
import pytest
import torch

from tc_clip_pl.visualization import (
    PatchQuery,
    cls_attention_maps,
    draw_heatmap,
    draw_patch_outline,
    heatmap_range,
    patch_attention_maps,
)


def test_cls_maps_average_the_cls_row_over_heads(attention):
    maps = cls_attention_maps(attention)
    assert maps.shape == (3, 2, 2)
    for t, row, column in np.ndindex(3, 2, 2):
        heads = [attention[t, h, 0, 1 + 2 * row + column].item() for h in range(2)]
        assert maps[t, row, column] == pytest.approx(sum(heads) / 2)


def test_cls_maps_ignore_context_keys(attention):
    np.testing.assert_array_equal(cls_attention_maps(attention[..., :5]), cls_attention_maps(attention))


def test_patch_maps_sum_own_frame_and_context(attention, sources):
    query = PatchQuery(frame=1, row=1, column=0)
    maps = patch_attention_maps(attention, query, sources)
    row = attention[1, :, 1 + 2].mean(0)
    for t, p in np.ndindex(3, 4):
        expected = row[1 + p].item() if t == 1 else 0.0
        for k in range(4):
            if sources[k, 4 * t + p]:
                expected += row[5 + k].item()
        assert maps[t, p // 2, p % 2] == pytest.approx(expected)


def test_patch_maps_without_context_are_zero_in_other_frames(attention):
    maps = patch_attention_maps(attention[..., :5], PatchQuery(2, 0, 1))
    assert not maps[:2].any()
    np.testing.assert_allclose(maps[2].ravel(), attention[2, :, 2, 1:5].mean(0))


@pytest.mark.parametrize("query", [PatchQuery(3, 0, 0), PatchQuery(0, 2, 0), PatchQuery(0, 0, -1)])
def test_raises_on_query_outside_the_video(attention, sources, query):
    with pytest.raises(ValueError, match="outside 3 frames of 2 x 2 patches"):
        patch_attention_maps(attention, query, sources)


def test_raises_on_sources_of_another_layer(attention, sources):
    for wrong in (sources[:3], sources[:, :8], None):
        with pytest.raises(ValueError, match=r"sources of the previous layer, \(4, 12\)"):
            patch_attention_maps(attention, PatchQuery(0, 0, 0), wrong)


def test_raises_on_attention_of_a_batch(attention):
    with pytest.raises(ValueError, match="one video and one layer"):
        cls_attention_maps(attention[None])


def test_patch_maps_match_the_model_output(tiny_model, tiny_video):
    with torch.no_grad():
        output = tiny_model(tiny_video, return_sources=True, return_attentions=True)
    attention = output.attentions[-1][1]
    maps = patch_attention_maps(attention, PatchQuery(2, 3, 1), output.sources[-2][1])
    # Row 3, column 1 of 4 x 4 patches is token 14; each context token counts once per source.
    row, sizes = attention[2, :, 14].mean(0), output.sources[-2][1].sum(1)
    assert maps.sum() == pytest.approx((row[1:17].sum() + (row[17:] * sizes).sum()).item(), rel=1e-5)
    # The seeds are the patches with the highest [CLS] attention.
    seeds = output.sources[-1][1].any(0).reshape(4, 16).numpy()
    for frame_map, is_seed in zip(cls_attention_maps(attention).reshape(4, 16), seeds, strict=True):
        assert frame_map[is_seed].min() >= frame_map[~is_seed].max()


def test_heatmap_is_scaled_per_frame_or_jointly(images):
    maps = np.stack([np.full((2, 2), 0.0), np.eye(2), 10 * np.eye(2)]).astype(np.float32)
    gray = np.ones_like(images)
    each, shared = draw_heatmap(gray, maps), draw_heatmap(gray, maps, per_frame=False)
    np.testing.assert_allclose(each[1], each[2], atol=1e-6)
    assert not np.allclose(shared[1], shared[2], atol=0.1)
    np.testing.assert_allclose(each[0], shared[0], atol=1e-6)  # a constant map is all "least"


def test_heatmap_with_zero_opacity_is_the_grayscale_frame(images):
    plain = draw_heatmap(images, np.zeros((3, 2, 2), np.float32), opacity=0)
    np.testing.assert_allclose(plain, images.mean(-1, keepdims=True).repeat(3, -1), atol=1e-6)


def test_range_names_the_values_only_if_all_frames_share_a_scale():
    maps = np.array([[[0.0125, 0.5]], [[0.25, 0.0]]])
    assert heatmap_range(maps) == ("least", "most")
    assert heatmap_range(maps, per_frame=False) == ("0", "0.5")


def test_raises_without_one_map_per_frame(images):
    with pytest.raises(ValueError, match="one map per frame: 3, not 2"):
        draw_heatmap(images, np.zeros((2, 2, 2), np.float32))


def test_outline_changes_only_the_border_of_the_patch(images):
    drawn = draw_patch_outline(images, PatchQuery(1, 0, 1), side=2)
    expected = images.copy()
    for y, x in np.ndindex(16, 16):
        in_patch, inside = y < 8 <= x, 1 <= y < 7 and 9 <= x < 15
        if in_patch and not inside:
            expected[1, y, x] = (1, 0, 0)
    np.testing.assert_array_equal(drawn, expected)
