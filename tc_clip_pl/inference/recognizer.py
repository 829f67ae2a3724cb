"""Answers for videos: which of some words describes each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from datamodules.options import ClipOptions
from datamodules.video.batch import VideoBatch
from datamodules.video.live import LiveWindows
from datamodules.video.windows import Window, decode_windows, sampling_of_tests
from tc_clip_pl.inference.answers import Answer, Ranking, Segment, rank
from tc_clip_pl.inference.clip_loader import errors, load_clips
from tc_clip_pl.inference.features import Features, split_features
from tc_clip_pl.inference.labels import check_labels
from tc_clip_pl.inference.model_source import load_source
from tc_clip_pl.inference.pipeline import batched, map_batches
from tc_clip_pl.inference.replica import Replica
from tc_clip_pl.modules.video_clip import VideoCLIP

Device = torch.device | str
Result = TypeVar("Result")


class Recognizer:
    """A model with everything around it: hand over paths and words.

    Args:
        model: The model.
        options: How its clips are sampled, cropped and normalized. Of the other options, `batch_size`, `num_workers`,
            `worker_timeout`, `decoder` and `exact_decoding` are used.
        device: Where it runs, or several devices that share the work; by default a GPU if there is one. The devices
            have a thread each: where launching kernels limits the speed, a second one helps little (measured for B/16
            on two H100: 177 videos/s against 159), and a process per GPU, as on Ray, is better.

    Example:
        >>> recognizer = Recognizer.from_pretrained("world")  # doctest: +SKIP
        >>> recognizer(["a.mp4"], labels=["a star moving left", "showing a red disc"])[0].ranking  # doctest: +SKIP
        (('a star moving left', 0.93), ('showing a red disc', 0.07))
    """

    def __init__(self, model: VideoCLIP, options: ClipOptions, device: Device | Sequence[Device] | None = None) -> None:
        options.check()
        model.config.check_num_frames(options.num_frames)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        devices = [torch.device(each) for each in ([device] if isinstance(device, str | torch.device) else device)]
        models = [model, *(copy.deepcopy(model) for _ in devices[1:])]
        self.replicas = [Replica(*pair) for pair in zip(models, [options] * len(models), devices, strict=True)]
        self.options = options

    @classmethod
    def from_pretrained(
        cls, source: str | Path, device: Device | Sequence[Device] | None = None, **options: Any
    ) -> Recognizer:
        """Load a model.

        Args:
            source: A run folder, a checkpoint, a folder in Hugging Face's format, a name on its hub, or "world". A
                plain CLIP answers zero-shot, frame by frame.
            device: Where it runs, or several devices that share the work; by default a GPU if there is one.
            **options: Fields of `ClipOptions` that replace the model's own, such as ``num_temporal_views=4``.

        Raises:
            OSError: There is no such model.
            ValueError: It is damaged or of another kind, or a folder holds several runs.
        """
        model, own = load_source(source)
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
        """Answer as `__call__`, video by video: workers decode ahead of the model."""
        labels = self._check(labels)

        def compute(replica: Replica, video: Tensor) -> list[Ranking]:
            return rank(replica.score(video, labels), labels)

        for video, error, ranking in self._each_video(videos, compute):
            yield Answer(video, () if error else ranking, error)

    def embed(self, videos: Sequence[str | Path], labels: Sequence[str]) -> Iterator[tuple[Answer, Features | None]]:
        """Answer as `stream`, with the embeddings of each video and of the labels; None for an unreadable file."""
        labels = self._check(labels)

        def compute(replica: Replica, video: Tensor) -> list[tuple[Ranking, Features]]:
            views = replica.outputs(video, labels)
            scores = torch.stack([view.logits.float().softmax(-1) for view in views]).mean(0)
            return list(zip(rank(scores.cpu(), labels), split_features(views, len(video)), strict=True))

        for video, error, (ranking, features) in self._each_video(videos, compute):
            yield Answer(video, () if error else ranking, error), None if error else features

    def timeline(
        self, video: str | Path, labels: Sequence[str], window: float = 10.0, stride: float = 5.0
    ) -> Iterator[Segment]:
        """Answer for each window of a long video, decoded in one pass.

        Args:
            video: The file.
            labels: Two class names or more.
            window: Length of a window, in seconds.
            stride: From the start of a window to that of the next, in seconds.

        Yields:
            One segment per window; `answers.partition` and `answers.merge` make a timeline of them.

        Raises:
            DataError: The file cannot be read, or the labels are wrong, as in `__call__`.
        """
        labels = self._check(labels)
        windows = decode_windows(video, window, stride, sampling_of_tests(self.options))
        yield from self._answer_windows(batched(windows, self.options.batch_size), labels)

    def watch(self, url: str, labels: Sequence[str], window: float = 10.0, stride: float = 5.0) -> Iterator[Segment]:
        """Answer for the latest `window` seconds of a camera or a stream, every `stride` seconds.

        Args:
            url: What FFmpeg opens: ``rtsp://...``, ``/dev/video0``, or a file, read at its own speed.
            labels: Two class names or more.
            window: Length of the window, in seconds.
            stride: Seconds between two answers; more where the model is slower.

        Raises:
            DataError: The stream cannot be opened, or stopped; or the labels are wrong, as in `__call__`.
        """
        labels = self._check(labels)
        for live in LiveWindows(url, window, stride, sampling_of_tests(self.options)):
            (ranking,) = rank(self.replicas[0].score(live.clip[None], labels), labels)
            yield Segment(live.start, live.end, ranking)

    def _check(self, labels: Sequence[str]) -> list[str]:
        labels = check_labels(list(labels))
        self.replicas[0].check_labels(labels)
        return labels

    def _each_video(
        self, videos: Sequence[str | Path], compute: Callable[[Replica, Tensor], Sequence[Result]]
    ) -> Iterator[tuple[str, str | None, Result]]:
        """Yield each video, why it cannot be read (or None), and its result, which is that of a black clip then."""

        def process(replica: Replica, batch: VideoBatch) -> list[tuple[str, str | None, Result]]:
            return list(zip(batch.video_id, errors(batch), compute(replica, batch.video), strict=True))

        batches = load_clips([str(video) for video in videos], self.options)
        for results in map_batches(process, self.replicas, batches):
            yield from results

    def _answer_windows(self, batches: Iterable[list[Window]], labels: Sequence[str]) -> Iterator[Segment]:
        def process(replica: Replica, windows: list[Window]) -> list[Segment]:
            rankings = rank(replica.score(torch.stack([window.clip for window in windows]), labels), labels)
            return [Segment(w.start, w.end, ranking) for w, ranking in zip(windows, rankings, strict=True)]

        for segments in map_batches(process, self.replicas, batches):
            yield from segments
