"""What the page computes for one video: answers, attention, segments, and how long each took."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np

from datamodules.errors import DataError
from datamodules.video.untrusted import measure_untrusted
from tc_clip_pl.inference.answers import Ranking, Segment, merge, partition, rank
from tc_clip_pl.inference.clip_loader import read_clip
from tc_clip_pl.inference.labels import check_labels
from tc_clip_pl.inference.recognizer import Recognizer
from tc_clip_pl.visualization import cls_attention_maps, draw_heatmap, to_images, upscale

MEGABYTE = 1 << 20
MAX_LABELS = 1000
MIN_WINDOW = 0.5  # seconds


@dataclass(frozen=True)
class Limits:
    """What a request may ask for.

    Attributes:
        max_mb: Size of a file, in megabytes.
        max_seconds: Length of a video.
    """

    max_mb: float = 200.0
    max_seconds: float = 600.0


@dataclass(frozen=True)
class Result:
    """What is known so far about one video.

    Attributes:
        ranking: Labels by probability, for the whole video.
        frames: (T, H, W, 3) frames in 0..1 under the attention of [CLS] in the last layer.
        duration: Of the video, in seconds.
        segments: The timeline; empty for a video that is no longer than a window.
        timings: What was done -> how long it took, in seconds.
    """

    ranking: Ranking
    frames: np.ndarray
    duration: float
    segments: tuple[Segment, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)


def answer(recognizer: Recognizer, video: str | Path, text: str, window: float, limits: Limits) -> Iterator[Result]:
    """Answer for a video, then once more with its timeline if it is longer than a window.

    Args:
        recognizer: The model; requests of several threads do not mix.
        video: The file.
        text: Labels, separated by commas or line breaks. Never the name of a file: the text comes from a stranger.
        window: Seconds of a window of the timeline; a window starts at each half of the one before.
        limits: What may be asked for.

    Raises:
        DataError: It is no video, too large or too long, the window is too short, or the labels are wrong.
        ValueError: A label is longer than the text encoder's context.
    """
    labels = _split(text)
    recognizer.replicas[0].check_labels(labels)
    if not window >= MIN_WINDOW:
        raise DataError(f"A window of {window:g} s is too short; give {MIN_WINDOW:g} s or more.")
    duration = _check_video(video, limits)
    result = _look(recognizer, video, labels, duration)
    yield result
    if duration > window:
        begin = perf_counter()
        segments = tuple(merge(partition(recognizer.timeline(video, labels, window, window / 2))))
        yield replace(result, segments=segments, timings={**result.timings, "timeline": perf_counter() - begin})


def _split(text: str) -> list[str]:
    labels = check_labels([" ".join(name.split()) for name in re.split(r"[,\n]", text) if name.strip()])
    if len(labels) > MAX_LABELS:
        raise DataError(f"There are {len(labels)} labels; give {MAX_LABELS} or fewer.")
    return labels


def _check_video(video: str | Path, limits: Limits) -> float:
    """Return the duration of a video within the limits."""
    name, size = Path(video).name, Path(video).stat().st_size / MEGABYTE
    if size > limits.max_mb:
        raise DataError(f"{name} has {size:.0f} MB; give a file of {limits.max_mb:g} MB or less.")
    duration = measure_untrusted(video)
    if duration > limits.max_seconds:
        raise DataError(f"{name} lasts {duration:.0f} s; give a video of {limits.max_seconds:g} s or less.")
    return duration


def _look(recognizer: Recognizer, video: str | Path, labels: list[str], duration: float) -> Result:
    times = [perf_counter()]
    clip = read_clip(str(video), recognizer.options)
    times.append(perf_counter())
    replica, views = recognizer.replicas[0], clip[None]  # (1, V, T, 3, H, W)
    (ranking,) = rank(replica.score(views, labels), labels)
    times.append(perf_counter())
    (output,) = replica.outputs(views[:, :1], labels, look_inside=True)  # of one view: it takes memory
    frames = draw_heatmap(upscale(to_images(clip[0])), cls_attention_maps(output.attentions[-1][0]))
    times.append(perf_counter())
    steps = (end - begin for begin, end in pairwise(times))
    return Result(ranking, frames, duration, (), dict(zip(("decoding", "model", "attention"), steps, strict=True)))
