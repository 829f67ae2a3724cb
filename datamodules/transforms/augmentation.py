"""Augmentation and normalization of training clips on the device; each random draw holds for all frames of a clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from datamodules.errors import DataError
from datamodules.transforms import color
from datamodules.transforms.seeding import seeded

JITTER = ("brightness", "contrast", "saturation", "hue")  # ColorJitter permutes their numbers
# From (N, 3, H, W) uint8 frames and (N, 1, 1, 1) float32 factors to changed frames.
OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "flip": lambda frames, _: F.horizontal_flip(frames),
    "brightness": color.adjust_brightness,
    "contrast": color.adjust_contrast,
    "saturation": color.adjust_saturation,
    "hue": color.adjust_hue,
    "gray": lambda frames, _: F.rgb_to_grayscale(frames, num_output_channels=3),
}
# Values that are changed at once: their floats stay in a CPU's cache; they fill a GPU, and take less than 1 GiB.
CPU_CHUNK, GPU_CHUNK = 2**19, 2**25


@dataclass(frozen=True)
class Augmentation:
    """How training clips are augmented on the device. `check` validates the probabilities.

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

    def check(self) -> None:
        """Raise a DataError if a probability is not in 0..1."""
        for name, value in vars(self).items():
            if name.endswith("probability") and not 0 <= value <= 1:
                raise DataError(f"--data.augmentation.{name} is {value}; it must be from 0 to 1.")


class _Step(NamedTuple):
    """What is done to one clip; of two steps, that of the earlier stage first."""

    stage: int
    operation: str
    clip: int
    factor: float = 1.0


def augment_clips(video: Tensor, seed: Tensor, settings: Augmentation, allow_flip: bool) -> Tensor:
    """Flip, jitter and gray each clip by random draws from its own seed.

    The result is that of torchvision's RandomHorizontalFlip, ColorJitter and RandomGrayscale, clip by clip. Only the
    draws are made clip by clip here, on the CPU. Clips with the same operation in the same stage are then changed
    together, and the host does not wait for a GPU.

    Args:
        video: (B, T, 3, H, W) uint8.
        seed: (B,) int64, on the CPU.
        settings: The probabilities and strengths.
        allow_flip: Whether a mirrored clip still shows its class; it does not where classes name left and right.

    Returns:
        (B, T, 3, H, W) uint8.
    """
    strength = settings.color_jitter
    jitter = v2.ColorJitter(strength, strength, settings.saturation_jitter, settings.hue_jitter)
    steps: list[_Step] = []
    for clip, clip_seed in zip(range(len(video)), seed.tolist(), strict=True):
        with seeded(clip_seed):
            steps += _draw_steps(clip, settings, jitter, allow_flip)
    return _apply_steps(video, sorted(steps))


def _draw_steps(clip: int, settings: Augmentation, jitter: v2.ColorJitter, allow_flip: bool) -> list[_Step]:
    # The order is part of the result: all draws come from one generator. Add new ones at the end.
    steps = []
    if torch.rand(1) < (settings.flip_probability if allow_flip else 0.0):
        steps.append(_Step(0, "flip", clip))
    if torch.rand(1) < settings.color_jitter_probability:
        drawn = jitter.make_params([])
        for stage, number in enumerate(drawn["fn_idx"].tolist(), start=1):
            if (factor := drawn[f"{JITTER[number]}_factor"]) is not None:  # None: never jittered
                steps.append(_Step(stage, JITTER[number], clip, factor))
    if torch.rand(1) < settings.grayscale_probability:
        steps.append(_Step(5, "gray", clip))
    return steps


def _apply_steps(video: Tensor, steps: list[_Step]) -> Tensor:
    """Change clips by steps in order of stage and operation; all clips of one stage and operation together."""
    num_frames, device = video.shape[1], video.device
    frames = video.flatten(0, 1).clone()  # (B, T, 3, H, W) -> (B T, 3, H, W)
    clips = torch.tensor([step.clip for step in steps], dtype=torch.int64)[:, None]
    factors = torch.tensor([step.factor for step in steps], dtype=torch.float32)[:, None]
    rows = _copy_to(device, clips * num_frames + torch.arange(num_frames))  # (steps, T)
    factors = _copy_to(device, factors.repeat(1, num_frames))
    groups = [(operation, len(list(group))) for (_, operation), group in groupby(steps, lambda step: step[:2])]
    sizes = [size for _, size in groups]
    for (operation, _), *group in zip(groups, rows.split(sizes), factors.split(sizes), strict=True):
        _change(frames, operation, *group)
    return frames.unflatten(0, video.shape[:2])


def _change(frames: Tensor, operation: str, rows: Tensor, factors: Tensor) -> None:
    at_once = max(1, (CPU_CHUNK if frames.device.type == "cpu" else GPU_CHUNK) // frames.shape[1:].numel())
    for part, factor in zip(rows.flatten().split(at_once), factors.view(-1, 1, 1, 1).split(at_once), strict=True):
        frames.index_copy_(0, part, OPERATIONS[operation](frames.index_select(0, part), factor))


def _copy_to(device: torch.device, values: Tensor) -> Tensor:
    # Pinned, so that the host does not wait for the copy.
    return (values.pin_memory() if device.type == "cuda" else values).to(device, non_blocking=True)


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
    return F.normalize(video.float(), *(_copy_to(video.device, torch.tensor(channels)) for channels in (mean, std)))
