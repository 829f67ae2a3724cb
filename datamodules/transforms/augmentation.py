"""What happens to a batch of clips on its device: flip, colors, normalization; one draw for all frames of a clip."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from datamodules.transforms.seeding import seeded


@dataclass(frozen=True)
class Augmentation:
    """How training clips are varied on the device.

    Attributes:
        flip_probability: Of mirroring a clip left to right, where the dataset allows it.
        color_jitter_probability: Of changing brightness, contrast, saturation and hue.
        color_jitter: The largest relative change of brightness, contrast and saturation.
        hue_jitter: The largest shift of the hue, in turns of the color wheel.
        grayscale_probability: Of taking the colors away.
        mix_probability: Of mixing two clips of a batch, by MixUp or by CutMix, one as likely as the other.
        mixup_alpha: Parameter of MixUp's Beta distribution; 0 leaves MixUp out.
        cutmix_alpha: The same for CutMix.
    """

    flip_probability: float = 0.5
    color_jitter_probability: float = 0.8
    color_jitter: float = 0.4
    hue_jitter: float = 0.1
    grayscale_probability: float = 0.2
    mix_probability: float = 1.0
    mixup_alpha: float = 0.8
    cutmix_alpha: float = 1.0


def build_clip_augmentation(settings: Augmentation, allow_flip: bool) -> v2.Transform:
    """Builds the transform of one (T, 3, H, W) float clip with values in 0..1."""
    jitter = v2.ColorJitter(*[settings.color_jitter] * 3, settings.hue_jitter)
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(settings.flip_probability if allow_flip else 0.0),
            v2.RandomApply([jitter], settings.color_jitter_probability),
            v2.RandomGrayscale(settings.grayscale_probability),
        ]
    )


def augment_clips(video: Tensor, seed: Tensor, augmentation: v2.Transform) -> Tensor:
    """Augments each clip by draws from its own seed.

    Args:
        video: (B, T, 3, H, W) uint8.
        seed: (B,) int64, on the CPU.
        augmentation: As built by `build_clip_augmentation`.

    Returns:
        (B, T, 3, H, W) uint8.
    """
    clips = []
    for clip, clip_seed in zip(video, seed.tolist(), strict=True):
        with seeded(clip_seed):
            clips.append(augmentation(clip))
    return torch.stack(clips)


def normalize(video: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Subtracts the mean and divides by the standard deviation of each color.

    Args:
        video: (..., 3, H, W) with values in 0..255.
        mean: Of red, green and blue, in 0..255.
        std: The same.

    Returns:
        (..., 3, H, W) float32.
    """
    return F.normalize(video.float(), list(mean), list(std))
