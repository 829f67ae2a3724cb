"""Color changes of many frames at once, each by a factor of its own; torchvision takes one for all of them.

The float operations of `torchvision.transforms.v2.functional` are here in the same order, so that results are equal.
All functions take (N, 3, H, W) uint8 frames and (N, 1, 1, 1) float32 factors, and return (N, 3, H, W) uint8.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F


def adjust_brightness(frames: Tensor, factor: Tensor) -> Tensor:
    """Multiply the pixels by factors of at least 0, as `F.adjust_brightness` does."""
    return _to_uint8(frames * factor)


def adjust_contrast(frames: Tensor, factor: Tensor) -> Tensor:
    """Scale the distance from the mean gray of a frame by factors of at least 0, as `F.adjust_contrast` does."""
    gray = F.rgb_to_grayscale(frames).float()
    # Written out for each pixel: a CPU adds vectors of pixels if one operand at most is a number, and factor is one.
    return _blend(frames, gray.mean((-3, -2, -1), keepdim=True).expand_as(gray).contiguous(), factor)


def adjust_saturation(frames: Tensor, factor: Tensor) -> Tensor:
    """Scale the distance from the gray of a pixel by factors of at least 0, as `F.adjust_saturation` does."""
    return _blend(frames, F.rgb_to_grayscale(frames).float(), factor)


def adjust_hue(frames: Tensor, factor: Tensor) -> Tensor:
    """Turn the color wheel by fractions of a turn, -0.5..0.5, as `F.adjust_hue` does."""
    hue, saturation, value = _rgb_to_hsv(F.to_dtype(frames, torch.float32, scale=True))
    hue += factor
    return _hsv_to_rgb(hue - hue.floor(), saturation, value)


def _blend(frames: Tensor, gray: Tensor, factor: Tensor) -> Tensor:
    # addcmul rounds once, like torchvision's `add` with a number as `alpha`.
    return _to_uint8((frames * factor).addcmul_(gray, 1 - factor))


def _to_uint8(image: Tensor) -> Tensor:
    return image.clamp_(0, 255).to(torch.uint8)


def _rgb_to_hsv(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Convert (N, 3, H, W) in 0..1 to hue, saturation and value, (N, 1, H, W) in 0..1 each."""
    red, green, _ = image.split(1, dim=-3)
    value = image.amax(-3, keepdim=True)
    span = value - image.amin(-3, keepdim=True)
    # Of 8 bits, what is not 0 is at least 1 / 255: the clamps only keep 0 / 0 away, and gray gets 0 for both.
    saturation = span / value.clamp_min(1e-3)
    r, g, b = (value - image).div_(span.clamp_min_(1e-3)).split(1, dim=-3)
    hue = torch.where(value == red, b - g, torch.where(value == green, (r + 2).sub_(b), (g + 4).sub_(r)))
    return hue.mul_(1 / 6).add_(1).frac_(), saturation, value


def _hsv_to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Convert hue, saturation and value, (N, 1, H, W) in 0..1 each, to (N, 3, H, W) uint8."""
    hue = hue * 6
    change = hue.frac().mul_(saturation)
    sextant = hue.to(torch.int8)  # truncated
    # One channel is high, one low; that between them rises from low in even sextants, and falls from high in odd ones.
    odd = sextant & 1
    low = 1 - saturation
    middle = (1 - saturation * (1 - odd)).add_(change * (1 - 2 * odd))
    levels = torch.cat((low.mul_(value), middle.mul_(value), value), dim=-3)
    low, middle, high = F.to_dtype(levels, torch.uint8, scale=True).split(1, dim=-3)
    # Red is high around sextants -1 and 0, green around 1 and 2, blue around 3 and 4; 6 of them are a circle.
    center = torch.arange(-1, 8, 4, dtype=torch.int8, device=hue.device).view(3, 1, 1)  # doubled, to be whole numbers
    nearness = (2 * sextant - center).abs_().sub_(6).abs_()  # 5 where high, 3 between, 1 where low
    # Not `torch.where`, which is slow on a CPU where neighboring pixels differ; uint8 wraps around and back.
    rgb = low + (middle - low) * (nearness > 1)
    return rgb.add_((high - middle) * (nearness > 3))
