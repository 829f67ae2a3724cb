"""Augmentation and normalization of training clips on the device; each random draw holds for all frames of a clip."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from datamodules.transforms.seeding import seeded


@dataclass(frozen=True)
class Augmentation:
    """How training clips are augmented on the device.

    Attributes:
        flip_probability: Probability of a horizontal flip, where the dataset allows it.
        color_jitter_probability: Probability of changing brightness, contrast, saturation and hue.
        color_jitter: Largest relative change of brightness and contrast.
        saturation_jitter: Largest relative change of saturation.
        hue_jitter: Largest hue shift, as a fraction of the color wheel (0..0.5).
        grayscale_probability: Probability of converting a clip to grayscale.
        mix_probability: Probability of mixing a pair of clips, by MixUp or CutMix with equal chances.
        mixup_alpha: Parameter of MixUp's Beta distribution; 0 disables MixUp.
        cutmix_alpha: Parameter of CutMix's Beta distribution; 0 disables CutMix.
    """

    flip_probability: float = 0.5
    color_jitter_probability: float = 0.8
    color_jitter: float = 0.4
    saturation_jitter: float = 0.2
    hue_jitter: float = 0.1
    grayscale_probability: float = 0.2
    mix_probability: float = 1.0
    mixup_alpha: float = 0.8
    cutmix_alpha: float = 1.0


def build_clip_augmentation(settings: Augmentation, allow_flip: bool) -> v2.Transform:
    """Build the random transform of one clip, (T, 3, H, W) uint8 to the same shape and dtype.

    Args:
        settings: The probabilities and strengths.
        allow_flip: Whether a mirrored clip still shows its class; it does not where classes name left and right.
    """
    strength = settings.color_jitter
    jitter = v2.ColorJitter(strength, strength, settings.saturation_jitter, settings.hue_jitter)
    # The order is part of the result: all transforms draw from one generator. Add new ones at the end.
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(settings.flip_probability if allow_flip else 0.0),
            v2.RandomApply([jitter], settings.color_jitter_probability),
            v2.RandomGrayscale(settings.grayscale_probability),
        ]
    )


def augment_clips(video: Tensor, seed: Tensor, augmentation: v2.Transform) -> Tensor:
    """Augment each clip with random draws from its own seed.

    Args:
        video: (B, T, 3, H, W) uint8.
        seed: (B,) int64, on the CPU.
        augmentation: From `build_clip_augmentation`.

    Returns:
        (B, T, 3, H, W) uint8.
    """
    clips = []
    # One clip at a time: v2 makes one draw per call, and clips of a batch must differ.
    for clip, clip_seed in zip(video, seed.tolist(), strict=True):
        with seeded(clip_seed):
            clips.append(augmentation(clip))
    return torch.stack(clips)


def normalize(video: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Subtract the mean of each color channel and divide by its standard deviation.

    Args:
        video: (..., 3, H, W) with values in 0..255.
        mean: Mean of red, green and blue, in 0..255.
        std: Standard deviation of red, green and blue, in 0..255.

    Returns:
        (..., 3, H, W) float32.
    """
    # Not scaled to 0..1 first, since mean and std are in 0..255 as well.
    return F.normalize(video.float(), list(mean), list(std))
