"""Answers for videos: which of some words describes each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.options import ClipOptions
from datamodules.splits.split import VideoRecord
from datamodules.transforms.augmentation import normalize
from datamodules.transforms.spatial import build_evaluation_crop
from datamodules.video.batch import Clip
from datamodules.video.dataset import VideoDataset
from datamodules.video.frame_sampling import FrameSampler
from datamodules.video.loaders import default_workers
from tc_clip_pl.inference.labels import check_labels
from tc_clip_pl.inference.model_source import load_source
from tc_clip_pl.modules.tc_clip import TCCLIP


@dataclass(frozen=True)
class Answer:
    """What the model says about one video.

    Attributes:
        video: Path of the file.
        ranking: (label, probability) pairs, the most probable first; empty if the file could not be read.
        error: Why the file could not be read, or None.
    """

    video: str
    ranking: tuple[tuple[str, float], ...] = ()
    error: str | None = None


class Recognizer:
    """A model with everything around it: hand over paths and words.

    Args:
        model: The model, in evaluation mode.
        options: How its clips are sampled, cropped and normalized. Of the other options, `batch_size`, `num_workers`,
            `worker_timeout` and `decoder` are used.
        device: Where it runs; by default a GPU if there is one.

    Example:
        >>> recognizer = Recognizer.from_pretrained("world")  # doctest: +SKIP
        >>> recognizer(["a.mp4"], labels=["a star moving left", "showing a red disc"])[0].ranking  # doctest: +SKIP
        (('a star moving left', 0.93), ('showing a red disc', 0.07))
    """

    def __init__(self, model: TCCLIP, options: ClipOptions, device: torch.device | str | None = None) -> None:
        options.check()
        model.config.check_num_frames(options.num_frames)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model, self.options = model.to(self.device).eval(), options

    @classmethod
    def from_pretrained(
        cls, source: str | Path, device: torch.device | str | None = None, **options: Any
    ) -> Recognizer:
        """Load a model.

        Args:
            source: A run folder, a checkpoint, a folder in Hugging Face's format, a name on its hub, or "world". A
                plain CLIP answers zero-shot, frame by frame.
            device: Where it runs; by default a GPU if there is one.
            **options: Fields of `ClipOptions` that replace the model's own, such as ``num_temporal_views=4``.

        Raises:
            OSError: There is no such model.
            ValueError: It is damaged or of another kind, or a folder holds several runs.
        """
        model, own = load_source(str(source))
        return cls(model, replace(own, **options), device)

    def __call__(self, videos: Sequence[str | Path], labels: Sequence[str]) -> list[Answer]:
        """Answer for some videos.

        Args:
            videos: Their files.
            labels: Two class names or more.

        Returns:
            One answer per video, in the same order; a file that cannot be read has an `error`.

        Raises:
            DataError: There are fewer than two labels, or one of them twice.
            ValueError: A label is longer than the text encoder's context.
        """
        return list(self.stream(videos, labels))

    def stream(self, videos: Sequence[str | Path], labels: Sequence[str]) -> Iterator[Answer]:
        """Answer for some videos as `__call__`, one by one: workers decode ahead of the model."""
        labels = check_labels(list(labels))
        self.model.set_class_names(labels)
        for clips in self._load([str(video) for video in videos]):
            readable = [clip for clip in clips if clip.error is None]
            rankings = iter(self._rank(torch.stack([clip.video for clip in readable]), labels) if readable else ())
            for clip in clips:
                yield Answer(clip.video_id, () if clip.error else next(rankings), _reason(clip))

    def _load(self, videos: Sequence[str]) -> DataLoader[list[Clip]]:
        options = self.options
        dataset = VideoDataset(
            [VideoRecord(path=video, video_id=video, label=0) for video in videos],
            FrameSampler(options.frame_sampling, options.num_frames, options.num_temporal_views),
            build_evaluation_crop(options.image_size, options.num_spatial_views),
            options.seed,
            options.decoder,
            on_bad_video="skip",
        )
        workers = default_workers(1) if options.num_workers is None else options.num_workers
        workers = min(workers, len(videos) - 1)  # one video does not pay for a process
        return DataLoader(
            dataset,
            options.batch_size,
            collate_fn=list,
            num_workers=workers,
            timeout=options.worker_timeout if workers else 0,
            generator=torch.Generator(),
        )

    @torch.inference_mode()
    def _rank(self, video: Tensor, labels: Sequence[str]) -> list[tuple[tuple[str, float], ...]]:
        """Rank the labels of (B, V, T, 3, H, W) uint8 clips by their probability, averaged over the views."""
        options = self.options
        total = torch.zeros(len(video), len(labels), device=self.device)
        for view in video.unbind(1):  # one at a time, so that memory does not grow with the views
            pixels = normalize(view.to(self.device, non_blocking=True), options.mean, options.std)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
                total += self.model(pixels).logits.float().softmax(-1)
        values, order = (total / video.shape[1]).sort(dim=-1, descending=True, stable=True)
        return [
            tuple((labels[label], value) for label, value in zip(*row, strict=True))
            for row in zip(order.tolist(), values.tolist(), strict=True)
        ]


def _reason(clip: Clip) -> str | None:
    """Return the error of a clip without the path that stands before it."""
    return clip.error and clip.error.removeprefix(f"{clip.video_id}: ")
