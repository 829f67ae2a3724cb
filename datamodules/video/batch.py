"""The one typed object that crosses from the data to the model: a batch of videos."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

PADDING_LABEL = -1


@dataclass
class VideoBatch:
    """A batch of B videos of V views, T frames each.

    Attributes:
        video: (B, V, T, 3, H, W). uint8 in 0..255 as the loader makes it; float32, augmented and normalized, on the
            device after `VideoDataModule.on_after_batch_transfer`. V is 1 in training. B is 0 if all were skipped.
        label: (B,) int64 class ids, `PADDING_LABEL` (-1) for an entry that must not be counted;
            (B, Y) float32 soft targets in training once clips have been mixed.
        video_id: B paths relative to the data root.
        seed: (B,) int64, the seed of every random draw made for that clip, in the worker and on the device.
        skipped: `"path: reason"` of the clips that could not be read (only with `on_bad_video="skip"`).
    """

    video: Tensor
    label: Tensor
    video_id: list[str]
    seed: Tensor
    skipped: list[str] = field(default_factory=list)

    def to(self, device: torch.device | str, non_blocking: bool = True) -> VideoBatch:
        """Returns the batch with videos and labels on `device`; seeds stay on the CPU, where draws are made."""
        video, label = (tensor.to(device, non_blocking=non_blocking) for tensor in (self.video, self.label))
        return replace(self, video=video, label=label)

    def pin_memory(self) -> VideoBatch:
        """Returns the batch in page-locked memory, from where a GPU can copy it in the background."""
        return replace(self, video=self.video.pin_memory(), label=self.label.pin_memory())


class Clip(NamedTuple):
    """One item of a dataset: `video` (V, T, 3, H, W) uint8, and why it could not be read, if so."""

    video: Tensor
    label: int
    video_id: str
    seed: int
    problem: str | None = None


def collate_training_clips(clips: list[Clip]) -> VideoBatch:
    """Stacks clips into a batch, leaving out padding and the unreadable ones, and naming these in `skipped`."""
    batch = collate_evaluation_clips(clips)
    kept = batch.label != PADDING_LABEL
    if kept.all():
        return batch
    video_ids = [video_id for video_id, is_kept in zip(batch.video_id, kept.tolist(), strict=True) if is_kept]
    return VideoBatch(batch.video[kept], batch.label[kept], video_ids, batch.seed[kept], batch.skipped)


def collate_evaluation_clips(clips: list[Clip]) -> VideoBatch:
    """Stacks clips into a batch, an unreadable one as a black video labeled -1 and named in `skipped`.

    Keeping its place lets distributed processes have batches of the same size.
    """
    return VideoBatch(
        video=torch.stack([clip.video for clip in clips]),
        label=torch.tensor([PADDING_LABEL if clip.problem else clip.label for clip in clips]),
        video_id=[clip.video_id for clip in clips],
        seed=torch.tensor([clip.seed for clip in clips]),
        skipped=[clip.problem for clip in clips if clip.problem],
    )
