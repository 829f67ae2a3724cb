"""Resize and crop uint8 clips in the workers; each random draw holds for all frames of a clip."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

# Videos are resized to a short side of 256 for crops of 224, and in proportion for other crops.
SHORT_SIDE_RATIO = 256 / 224


class MultiScaleCrop(v2.Transform):
    """Crops a window of random size at one of five fixed positions, and resizes it to a square.

    This is the multi-scale cropping of Temporal Segment Networks (Wang et al., ECCV 2016), which torchvision lacks:
    `RandomResizedCrop` draws size, aspect ratio and position from continuous ranges.

    Args:
        size: Height and width of the result, in pixels.
        scales: Window sizes relative to the short side, in descending order.
    """

    def __init__(self, size: int, scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)) -> None:
        super().__init__()
        self.size, self.scales = size, scales

    def make_params(self, flat_inputs: list[Any]) -> dict[str, int]:
        """Draw the window in a (..., H, W) input: its top, left, height and width."""
        height, width = flat_inputs[0].shape[-2:]
        steps = range(len(self.scales))
        # Height and width have a scale each, at most one step apart in the list, which bounds the distortion.
        pairs = [(i, j) for i in steps for j in steps if abs(i - j) <= 1]
        i, j = pairs[int(torch.randint(len(pairs), ()))]
        short = min(height, width)
        crop_height, crop_width = max(1, int(short * self.scales[i])), max(1, int(short * self.scales[j]))
        down, right = height - crop_height, width - crop_width
        # Corners and center only, so that windows do not concentrate around the center.
        positions = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
        top, left = positions[int(torch.randint(len(positions), ()))]
        return {"top": top, "left": left, "height": crop_height, "width": crop_width}

    def transform(self, inpt: Any, params: dict[str, int]) -> Any:
        """Crop and resize the drawn window: (..., H, W) to (..., size, size)."""
        return self._call_kernel(F.resized_crop, inpt, **params, size=[self.size, self.size], antialias=True)


class ThreeCrops(v2.Transform):
    """Crops three squares along the long side: left, center and right, or top, center and bottom.

    (V, T, 3, H, W) becomes (3 V, T, 3, S, S) with S the short side; the three crops of a view are adjacent.
    """

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """Crop one video."""
        height, width = inpt.shape[-2:]
        side = min(height, width)
        starts = [((height - side) * k // 2, (width - side) * k // 2) for k in range(3)]
        crops = [F.crop(inpt, top, left, side, side) for top, left in starts]
        return torch.stack(crops, dim=1).flatten(0, 1)  # (V, 3, T, ...) -> (3 V, T, ...)


def build_training_crop(image_size: int) -> v2.Transform:
    """Build the training transform: resize the short side, then crop and resize a random window."""
    return v2.Compose([v2.Resize(short_side(image_size), antialias=True), MultiScaleCrop(image_size)])


def build_evaluation_crop(image_size: int, num_spatial_views: int) -> v2.Transform:
    """Build the evaluation transform: one center crop, or three crops along the long side.

    Args:
        image_size: Height and width of the crops, in pixels.
        num_spatial_views: 1 or 3.
    """
    return EVALUATION_CROPS[num_spatial_views](image_size)


def _center_crop(image_size: int) -> v2.Transform:
    return v2.Compose([v2.Resize(short_side(image_size), antialias=True), v2.CenterCrop(image_size)])


def _three_crops(image_size: int) -> v2.Transform:
    return v2.Compose([v2.Resize(short_side(image_size, 3), antialias=True), ThreeCrops()])


EVALUATION_CROPS = {1: _center_crop, 3: _three_crops}


def short_side(image_size: int, num_spatial_views: int = 1) -> int:
    """Return the short side, in pixels, that frames are resized to before they are cropped."""
    if num_spatial_views == 3:  # no margin, unlike around the center crop: together they should cover the whole frame
        return image_size
    return round(image_size * SHORT_SIDE_RATIO)
