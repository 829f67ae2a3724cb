"""MixUp and CutMix of pairs of clips, on the device.

torchvision mixes each clip of a batch with its neighbor, by one draw for the whole batch. Here, pairs are mixed by
draws of their own. A clip's partner and mixing weight then depend on the order of the epoch alone: the same training
run results from any even batch size, number of processes and accumulation.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from datamodules.transforms.seeding import derive_seed, seeded

MIXING_STREAM = 0  # the stream of a clip's draws that belongs to mixing; see `derive_seed`


def mix_pairs(
    video: Tensor, label: Tensor, seed: Tensor, mixers: list[v2.Transform], probability: float, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Mix the clips in pairs: clips 0 and 1 of the batch, clips 2 and 3, and so on.

    Each pair draws whether to mix, by which mixer, and with which weight. The last clip of an odd batch is not mixed.

    Args:
        video: (B, T, 3, H, W) float.
        label: (B,) int64 class ids.
        seed: (B,) int64, on the CPU.
        mixers: From `build_mixers`; at least one.
        probability: Probability that a pair is mixed, in 0..1.
        num_classes: Number Y of classes.

    Returns:
        (B, T, 3, H, W) mixed clips, and (B, Y) float32 soft targets whose rows sum to 1.
    """
    videos, labels = [], []
    for start in range(0, len(video), 2):
        pair = slice(start, start + 2)
        # Both clips share one draw, and a pair has no seed of its own. The first clip's serves as well as any: it is
        # fixed by epoch and index, and known on the process that holds the pair.
        # But that clip's flip is the first draw from its seed itself, and must not decide whether the pair is mixed.
        with seeded(derive_seed(int(seed[start]), MIXING_STREAM)):
            mixed_video, target = _mix_pair(video[pair], label[pair], mixers, probability, num_classes)
        videos.append(mixed_video)
        labels.append(target)
    return torch.cat(videos), torch.cat(labels)


def _mix_pair(
    video: Tensor, label: Tensor, mixers: list[v2.Transform], probability: float, num_classes: int
) -> tuple[Tensor, Tensor]:
    if len(video) == 2 and torch.rand(()) < probability:
        mixer = mixers[int(torch.randint(len(mixers), ()))]
        # Wrapped, because v2 takes a plain tensor for images and refuses its fifth dimension. It mixes each clip with
        # the one before it in the batch; of two, each with the other, by the same weight or box.
        mixed, target = mixer(tv_tensors.Video(video), label)
        return mixed.as_subclass(Tensor), target.float()
    return video, torch.nn.functional.one_hot(label, num_classes).float()


def build_mixers(mixup_alpha: float, cutmix_alpha: float, num_classes: int) -> list[v2.Transform]:
    """Build MixUp and CutMix, each if its alpha is above 0."""
    choices = ((v2.MixUp, mixup_alpha), (v2.CutMix, cutmix_alpha))
    return [mixer(alpha=alpha, num_classes=num_classes) for mixer, alpha in choices if alpha > 0]
