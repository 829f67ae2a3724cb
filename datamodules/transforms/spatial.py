"""Resizing and cropping, in the workers, on uint8; one draw for all frames of a clip."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

# The short side is 256 where the crop is 224, and in proportion for any other crop.
SHORT_SIDE_SHARE = 256 / 224


class MultiScaleCrop(v2.Transform):
    """Crops a random window at one of five fixed positions and resizes it to a square.

    Width and height are the short side times one scale each, the two scales at most one step apart in the list;
    the window stands in a corner or in the center.

    Args:
        size: Side of the square in pixels.
        scales: Shares of the short side, in falling order.
    """

    def __init__(self, size: int, scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)) -> None:
        super().__init__()
        self.size, self.scales = size, scales

    def make_params(self, flat_inputs: list[Any]) -> dict[str, int]:
        """Draws the window for a (..., H, W) input: its top, left, height and width."""
        height, width = flat_inputs[0].shape[-2:]
        steps = range(len(self.scales))
        pairs = [(i, j) for i in steps for j in steps if abs(i - j) <= 1]
        i, j = pairs[int(torch.randint(len(pairs), ()))]
        short = min(height, width)
        crop_height, crop_width = max(1, int(short * self.scales[i])), max(1, int(short * self.scales[j]))
        down, right = height - crop_height, width - crop_width
        positions = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
        top, left = positions[int(torch.randint(len(positions), ()))]
        return {"top": top, "left": left, "height": crop_height, "width": crop_width}

    def transform(self, inpt: Any, params: dict[str, int]) -> Any:
        """Applies the drawn window: (..., H, W) to (..., size, size)."""
        return self._call_kernel(F.resized_crop, inpt, **params, size=[self.size, self.size], antialias=True)


class ThreeCrops(v2.Transform):
    """Crops left, center and right squares of a wide video, or top, center and bottom ones of a tall video.

    (V, T, 3, H, W) becomes (3 V, T, 3, S, S) with S the short side; the crops of a view follow each other.
    """

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """Crops one video."""
        height, width = inpt.shape[-2:]
        side = min(height, width)
        starts = [((height - side) * k // 2, (width - side) * k // 2) for k in range(3)]
        crops = [F.crop(inpt, top, left, side, side) for top, left in starts]
        return torch.stack(crops, dim=1).flatten(0, 1)  # (V, 3, T, ...) -> (3 V, T, ...)


def build_training_crop(image_size: int) -> v2.Transform:
    """Builds the training transform: short side to 256, multi-scale crop, 224 (in proportion for other sizes)."""
    return v2.Compose([v2.Resize(_short_side(image_size), antialias=True), MultiScaleCrop(image_size)])


def build_evaluation_crop(image_size: int, num_spatial_views: int) -> v2.Transform:
    """Builds the evaluation transform for one center crop, or three crops along the long side.

    Args:
        image_size: Side of the square crops in pixels.
        num_spatial_views: 1 or 3.
    """
    return EVALUATION_CROPS[num_spatial_views](image_size)


def _center_crop(image_size: int) -> v2.Transform:
    return v2.Compose([v2.Resize(_short_side(image_size), antialias=True), v2.CenterCrop(image_size)])


def _three_crops(image_size: int) -> v2.Transform:
    return v2.Compose([v2.Resize(image_size, antialias=True), ThreeCrops()])


EVALUATION_CROPS = {1: _center_crop, 3: _three_crops}


def _short_side(image_size: int) -> int:
    return round(image_size * SHORT_SIDE_SHARE)
