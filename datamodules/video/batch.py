"""The one typed object that crosses from the data to the model: a batch of videos."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import default_collate

PADDING_LABEL = -1


@dataclass
class VideoBatch:
    """A batch of B videos with V views of T frames each.

    Attributes:
        video: (B, V, T, 3, H, W). uint8 in 0..255 from the loader; float32, augmented and normalized, on the device
            after `VideoDataModule.on_after_batch_transfer`. V is 1 in training. B is 0 if every clip was skipped.
        label: (B,) int64 class ids, with `PADDING_LABEL` (-1) for entries that must not be counted;
            (B, Y) float32 soft targets in training once clips have been mixed.
        video_id: B paths relative to the data root.
        seed: (B,) int64, the seed of every random draw for that clip, in the worker and on the device.
        skipped: `"path: reason"` of the clips that could not be read (only with `on_bad_video="skip"`).
    """

    video: Tensor
    label: Tensor
    video_id: list[str]
    seed: Tensor
    skipped: list[str] = field(default_factory=list)

    def to(self, device: torch.device | str, non_blocking: bool = True) -> VideoBatch:
        """Return the batch with videos and labels on `device`."""
        # Seeds stay on the CPU, where numbers are drawn: reading them back from a GPU would wait for its whole queue.
        video, label = (tensor.to(device, non_blocking=non_blocking) for tensor in (self.video, self.label))
        return replace(self, video=video.contiguous(), label=label)  # a GPU rearranges a clip in microseconds

    def pin_memory(self) -> VideoBatch:
        """Return the batch in page-locked memory, from which it is copied to a GPU in the background."""
        # DataLoader pins tensors in dicts and tuples, but of other classes it calls this method.
        return replace(self, video=self.video.pin_memory(), label=self.label.pin_memory())


class Clip(NamedTuple):
    """One item of a dataset.

    Attributes:
        video: (V, T, 3, H, W) uint8; black if the file could not be read.
        label: Class id, or `PADDING_LABEL`.
        video_id: Path relative to the data root.
        seed: Seed of every random draw for this clip.
        error: `"path: reason"` if the file could not be read, otherwise None.
    """

    video: Tensor
    label: int
    video_id: str
    seed: int
    error: str | None = None


def collate_training_clips(clips: list[Clip]) -> VideoBatch:
    """Collate clips into a batch without padding and unreadable clips; the latter are reported in `skipped`."""
    batch = collate_evaluation_clips(clips)
    keep = batch.label != PADDING_LABEL
    if keep.all():
        return batch
    video_ids = [video_id for video_id, is_kept in zip(batch.video_id, keep.tolist(), strict=True) if is_kept]
    return VideoBatch(batch.video[keep], batch.label[keep], video_ids, batch.seed[keep], batch.skipped)


def collate_evaluation_clips(clips: list[Clip]) -> VideoBatch:
    """Collate clips into a batch, with unreadable ones as black videos labeled -1 and reported in `skipped`.

    They keep their place so that all distributed processes have batches of the same size.
    """
    # Decoded frames have their colors last in memory, and keeping them there copies rows instead of single bytes.
    # `default_collate` writes at once to the memory in which a worker sends the batch.
    video = default_collate([clip.video.movedim(-3, -1) for clip in clips])
    return VideoBatch(
        video=video.movedim(-1, -3),
        label=torch.tensor([PADDING_LABEL if clip.error else clip.label for clip in clips]),
        video_id=[clip.video_id for clip in clips],
        seed=torch.tensor([clip.seed for clip in clips]),
        # Not padding: a reader must learn of these clips, since they are missing from the results.
        skipped=[clip.error for clip in clips if clip.error],
    )
