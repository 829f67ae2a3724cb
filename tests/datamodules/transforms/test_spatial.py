"""Crops, compared to plain slices."""

import pytest
import torch
from torchvision.transforms.v2 import functional as F

from datamodules.transforms.seeding import seeded
from datamodules.transforms.spatial import (
    SHORT_SIDE_RATIO,
    MultiScaleCrop,
    ThreeCrops,
    build_evaluation_crop,
    build_training_crop,
)

SIZES = [(240, 320), (320, 240), (67, 131), (50, 50), (9, 300)]


def noise(*shape):
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def allowed_windows(height, width, scales=(1.0, 0.875, 0.75, 0.66)):
    windows = set()
    for i, vertical in enumerate(scales):
        for j, horizontal in enumerate(scales):
            if abs(i - j) > 1:
                continue
            h, w = int(min(height, width) * vertical), int(min(height, width) * horizontal)
            corners = [(0, 0), (0, width - w), (height - h, 0), (height - h, width - w)]
            windows |= {(top, left, h, w) for top, left in [*corners, ((height - h) // 2, (width - w) // 2)]}
    return windows


@pytest.mark.parametrize("size", [(256, 340), (340, 256)])
def test_multi_scale_crop_draws_every_allowed_window_and_no_other(size):
    crop = MultiScaleCrop(224)
    with seeded(0):
        drawn = {tuple(crop.make_params([torch.empty(3, *size)]).values()) for _ in range(3000)}
    assert drawn == allowed_windows(*size)


def test_multi_scale_crop_is_the_same_slice_for_all_frames():
    crop, video = MultiScaleCrop(24), noise(1, 5, 3, 64, 80)
    with seeded(3):
        params = crop.make_params([video])
    with seeded(3):
        cropped = crop(video)
    rows = slice(params["top"], params["top"] + params["height"])
    columns = slice(params["left"], params["left"] + params["width"])
    assert torch.equal(cropped, F.resize(video[..., rows, columns], [24, 24], antialias=True))


@pytest.mark.parametrize("size", SIZES)
def test_training_crop_shape(size):
    cropped = build_training_crop(56)(noise(1, 2, 3, *size))
    assert cropped.shape == (1, 2, 3, 56, 56) and cropped.dtype == torch.uint8


@pytest.mark.parametrize("size", SIZES)
def test_center_crop_is_the_middle_of_the_resized_video(size):
    video = noise(2, 2, 3, *size)
    resized = F.resize(video, 64, antialias=True)  # 56 * 256 / 224
    top, left = (round((side - 56) / 2.0) for side in resized.shape[-2:])
    expected = resized[..., top : top + 56, left : left + 56]
    assert torch.equal(build_evaluation_crop(56, 1)(video), expected)


@pytest.mark.parametrize("size", [(40, 61), (61, 40)])
def test_three_crops_run_along_the_long_side(size):
    video = noise(2, 3, 3, *size)
    crops = ThreeCrops()(video)
    assert crops.shape == (6, 3, 3, 40, 40)
    for view in range(2):
        for k, start in enumerate((0, 10, 21)):
            part = slice(start, start + 40)
            expected = video[view, ..., part] if size[1] > size[0] else video[view, ..., part, :]
            assert torch.equal(crops[3 * view + k], expected)


def test_three_crops_of_the_evaluation_have_the_image_size():
    assert build_evaluation_crop(56, 3)(noise(2, 4, 3, 90, 120)).shape == (6, 4, 3, 56, 56)


def test_short_side_is_256_for_crops_of_224():
    assert pytest.approx(256) == 224 * SHORT_SIDE_RATIO


def test_windows_of_a_tiny_frame_are_not_empty():
    crop = MultiScaleCrop(4)
    for seed in range(40):
        torch.manual_seed(seed)
        assert crop(torch.full((1, 1, 3, 1, 1), 7, dtype=torch.uint8)).eq(7).all()
