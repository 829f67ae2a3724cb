"""MixUp and CutMix between the clips of a batch, on its device."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from datamodules.transforms.seeding import seeded


def mix_pairs(
    video: Tensor, label: Tensor, seed: Tensor, mixers: list[v2.Transform], probability: float, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Mixes the clips two by two: clips 0 and 1 of the batch, clips 2 and 3, and so on.

    Each pair draws from the seed of its first clip whether to mix, with which of the mixers, and how much. So the
    outcome depends on which clips stand side by side in the order of the epoch, not on the size of the batch, on
    accumulation or on the number of processes (for even device batches). The last clip of an odd batch stays plain.

    Args:
        video: (B, T, 3, H, W) float.
        label: (B,) int64 class ids.
        seed: (B,) int64, on the CPU.
        mixers: `v2.MixUp` and `v2.CutMix`, or one of them.
        probability: Probability that a pair is mixed, in 0..1.
        num_classes: Number Y of classes.

    Returns:
        (B, T, 3, H, W) mixed clips, and (B, Y) float32 soft targets of which each row sums to 1.
    """
    videos, labels = [], []
    for start in range(0, len(video), 2):
        pair = slice(start, start + 2)
        with seeded(int(seed[start])):
            mixed = _mix(video[pair], label[pair], mixers, probability, num_classes)
        videos.append(mixed[0])
        labels.append(mixed[1])
    return torch.cat(videos), torch.cat(labels)


def _mix(
    video: Tensor, label: Tensor, mixers: list[v2.Transform], probability: float, num_classes: int
) -> tuple[Tensor, Tensor]:
    if len(video) == 2 and torch.rand(()) < probability:
        mixer = mixers[int(torch.randint(len(mixers), ()))]
        mixed, target = mixer(tv_tensors.Video(video), label)
        return mixed.as_subclass(Tensor), target.float()
    return video, torch.nn.functional.one_hot(label, num_classes).float()


def build_mixers(mixup_alpha: float, cutmix_alpha: float, num_classes: int) -> list[v2.Transform]:
    """Builds the mixers whose alpha is above 0."""
    choices = ((v2.MixUp, mixup_alpha), (v2.CutMix, cutmix_alpha))
    return [mixer(alpha=alpha, num_classes=num_classes) for mixer, alpha in choices if alpha > 0]
