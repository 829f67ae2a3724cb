"""Heat maps against explicit loops, and against a model's own attention."""

import numpy as np
import pytest
import torch

from tc_clip_pl.visualization import (
    PatchQuery,
    cls_attention_maps,
    outline_patch,
    overlay_heat,
    patch_attention_maps,
)


def test_cls_maps_are_the_mean_over_heads_of_the_first_row(attention):
    maps = cls_attention_maps(attention)
    assert maps.shape == (3, 2, 2)
    for t, row, column in np.ndindex(3, 2, 2):
        heads = [attention[t, h, 0, 1 + 2 * row + column].item() for h in range(2)]
        assert maps[t, row, column] == pytest.approx(sum(heads) / 2)


def test_cls_maps_of_a_layer_without_context(attention):
    np.testing.assert_array_equal(cls_attention_maps(attention[..., :5]), cls_attention_maps(attention))


def test_patch_maps_add_own_frame_and_context(attention, sources):
    query = PatchQuery(frame=1, row=1, column=0)
    maps = patch_attention_maps(attention, query, sources)
    row = attention[1, :, 1 + 2].mean(0)
    for t, p in np.ndindex(3, 4):
        expected = row[1 + p].item() if t == 1 else 0.0
        for k in range(4):
            if sources[k, 4 * t + p]:
                expected += row[5 + k].item()
        assert maps[t, p // 2, p % 2] == pytest.approx(expected)


def test_patch_maps_without_context_stay_in_the_frame(attention):
    maps = patch_attention_maps(attention[..., :5], PatchQuery(2, 0, 1))
    assert not maps[:2].any()
    np.testing.assert_allclose(maps[2].ravel(), attention[2, :, 2, 1:5].mean(0))


@pytest.mark.parametrize("query", [PatchQuery(3, 0, 0), PatchQuery(0, 2, 0), PatchQuery(0, 0, -1)])
def test_query_outside_the_video(attention, sources, query):
    with pytest.raises(ValueError, match="outside 3 frames of 2 x 2 patches"):
        patch_attention_maps(attention, query, sources)


def test_sources_of_another_layer(attention, sources):
    for wrong in (sources[:3], sources[:, :8], None):
        with pytest.raises(ValueError, match=r"sources of the layer before it of shape \(4, 12\)"):
            patch_attention_maps(attention, PatchQuery(0, 0, 0), wrong)


def test_attention_of_a_whole_batch_is_refused(attention):
    with pytest.raises(ValueError, match="one video and one layer"):
        cls_attention_maps(attention[None])


def test_works_on_what_the_model_returns(tiny_model, tiny_video):
    with torch.no_grad():
        output = tiny_model(tiny_video, return_sources=True, return_attentions=True)
    attention = output.attentions[-1][1]
    maps = patch_attention_maps(attention, PatchQuery(2, 3, 1), output.sources[-2][1])
    # 16 patches, so the query is token 14; each context token counts once for every source
    row, sizes = attention[2, :, 14].mean(0), output.sources[-2][1].sum(1)
    assert maps.sum() == pytest.approx((row[1:17].sum() + (row[17:] * sizes).sum()).item(), rel=1e-5)
    # the seeds are the patches with the highest maps
    seeds = output.sources[-1][1].any(0).reshape(4, 16).numpy()
    for frame_map, is_seed in zip(cls_attention_maps(attention).reshape(4, 16), seeds, strict=True):
        assert frame_map[is_seed].min() >= frame_map[~is_seed].max()


def test_overlay_scales_each_frame_or_all(images):
    maps = np.stack([np.full((2, 2), 0.0), np.eye(2), 10 * np.eye(2)]).astype(np.float32)
    gray = np.ones_like(images)
    each, shared = overlay_heat(gray, maps), overlay_heat(gray, maps, per_frame=False)
    np.testing.assert_allclose(each[1], each[2], atol=1e-6)
    assert not np.allclose(shared[1], shared[2], atol=0.1)
    np.testing.assert_allclose(each[0], shared[0], atol=1e-6)  # a flat map is all "least"


def test_overlay_without_opacity_is_the_grey_frame(images):
    plain = overlay_heat(images, np.zeros((3, 2, 2), np.float32), opacity=0)
    np.testing.assert_allclose(plain, images.mean(-1, keepdims=True).repeat(3, -1), atol=1e-6)


def test_overlay_wants_a_map_for_each_frame(images):
    with pytest.raises(ValueError, match="3 frames need as many maps, not 2"):
        overlay_heat(images, np.zeros((2, 2, 2), np.float32))


def test_outline_is_red_around_the_patch_and_nowhere_else(images):
    drawn = outline_patch(images, PatchQuery(1, 0, 1), side=2)
    expected = images.copy()
    for y, x in np.ndindex(16, 16):
        in_patch, inside = y < 8 <= x, 1 <= y < 7 and 9 <= x < 15
        if in_patch and not inside:
            expected[1, y, x] = (1, 0, 0)
    np.testing.assert_array_equal(drawn, expected)
