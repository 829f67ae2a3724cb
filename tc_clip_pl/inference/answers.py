"""What a model says about videos, and about segments of long ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

Ranking = tuple[tuple[str, float], ...]
"""(label, probability) pairs, the most probable first; the probabilities of all labels sum to 1."""
UNKNOWN = "unknown"
"""The label of an answer whose best probability is below the threshold."""


@dataclass(frozen=True)
class Answer:
    """What the model says about one video.

    Attributes:
        video: Path of the file.
        ranking: Labels by probability; empty if the file could not be read.
        error: Why the file could not be read, or None.
    """

    video: str
    ranking: Ranking = ()
    error: str | None = None


@dataclass(frozen=True)
class Segment:
    """What the model says about a part of a video.

    Attributes:
        start: Its begin, in seconds from the first frame.
        end: Its end, in seconds.
        ranking: Labels by probability.
    """

    start: float
    end: float
    ranking: Ranking


def rank(scores: Tensor, labels: Sequence[str]) -> list[Ranking]:
    """Sort the labels of each row of (B, Y) probabilities."""
    values, order = scores.sort(dim=-1, descending=True, stable=True)
    return [
        tuple((labels[label], value) for label, value in zip(*row, strict=True))
        for row in zip(order.tolist(), values.tolist(), strict=True)
    ]


def best_label(ranking: Ranking, unknown_threshold: float = 0.0) -> str:
    """Return the most probable label, or `UNKNOWN` where its probability is below a threshold (0..1)."""
    label, probability = ranking[0]
    return label if probability >= unknown_threshold else UNKNOWN


def partition(windows: Iterable[Segment]) -> Iterator[Segment]:
    """Cut overlapping windows to segments that meet in the middle of each overlap.

    Args:
        windows: In order of time, each overlapping or touching the next.
    """
    previous, begin = None, 0.0
    for window in windows:
        if previous is not None:
            middle = (previous.end + window.start) / 2
            yield replace(previous, start=begin, end=middle)
            begin = middle
        else:
            begin = window.start
        previous = window
    if previous is not None:
        yield replace(previous, start=begin)


def merge(segments: Iterable[Segment], unknown_threshold: float = 0.0) -> Iterator[Segment]:
    """Join neighboring segments of the same answer; probabilities become their mean over time."""
    run: list[Segment] = []
    for segment in segments:
        if run and best_label(run[-1].ranking, unknown_threshold) != best_label(segment.ranking, unknown_threshold):
            yield _join(run)
            run = []
        run.append(segment)
    if run:
        yield _join(run)


def _join(run: list[Segment]) -> Segment:
    duration = run[-1].end - run[0].start
    if len(run) == 1 or duration <= 0:
        return run[0]
    total: dict[str, float] = {}
    for segment in run:
        share = (segment.end - segment.start) / duration
        for label, probability in segment.ranking:
            total[label] = total.get(label, 0.0) + share * probability
    ranking = tuple(sorted(total.items(), key=lambda pair: -pair[1]))
    return Segment(run[0].start, run[-1].end, ranking)
