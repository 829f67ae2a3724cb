"""Brings an index up to date with the videos: new and changed ones are embedded, deleted ones removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from pathlib import Path

from datamodules.errors import DataError
from datamodules.input_contract import FIELDS
from tc_clip_pl.inference.recognizer import Recognizer
from tc_clip_pl.modules.loading import hash_weights
from tc_clip_pl.search.embedding import VideoVectors
from tc_clip_pl.search.index import IndexSettings, VideoIndex
from tc_clip_pl.search.video_sources import is_below

FLUSH_VIDEOS, FLUSH_SECONDS = 256, 60.0
"""After so many videos or seconds, what is embedded is written to the index."""


@dataclass(frozen=True)
class Changes:
    """What an index and the videos differ in.

    Attributes:
        new: Videos that the index does not have.
        changed: Videos whose mark is another one.
        deleted: Videos of the index that are no longer in their folder.
        kept: The number of the others.
    """

    new: list[str]
    changed: list[str]
    deleted: list[str]
    kept: int


def describe(recognizer: Recognizer, model: str, window: float, stride: float) -> IndexSettings:
    """Describe an index that a recognizer makes."""
    options = {name: getattr(recognizer.options, name) for name in FIELDS}
    options = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    source = str(Path(model).resolve()) if Path(model).exists() else model
    return IndexSettings(source, hash_weights(recognizer.replicas[0].model.state_dict()), options, window, stride)


def check_settings(index: VideoIndex, settings: IndexSettings) -> None:
    """Refuse vectors of another model, input or cut than those of an index.

    Raises:
        DataError: A setting differs.
    """
    own = index.settings
    if (own.weights, own.input) != (settings.weights, settings.input):
        raise DataError(
            f"{index.folder} was made by {own.model} (weights {own.weights[:12]}), not by {settings.model} "
            f"({settings.weights[:12]}): use that model, or make an index of its own for this one."
        )
    for field in dataclass_fields(own):
        given, stored = getattr(settings, field.name), getattr(own, field.name)
        if field.name in ("window", "stride") and given != stored:
            raise DataError(
                f"{index.folder} was made with --{field.name} {stored:g}, not {given:g}: leave the option out, or "
                "make another index."
            )


def find_changes(index: VideoIndex, videos: Mapping[str, str], sources: Sequence[str | Path]) -> Changes:
    """Compare an index with the videos there are.

    Args:
        index: The index.
        videos: Their marks, as `list_videos` returns them.
        sources: Folders and URLs that they were found in; elsewhere, nothing is deleted.
    """
    marks = index.marks
    return Changes(
        new=[video for video in videos if video not in marks],
        changed=[video for video, mark in videos.items() if marks.get(video, mark) != mark],
        deleted=[video for video in marks if video not in videos and is_below(video, sources)],
        kept=sum(marks.get(video) == mark for video, mark in videos.items()),
    )


def update(
    index: VideoIndex,
    videos: Mapping[str, str],
    changes: Changes,
    embed: Callable[[list[str]], Iterable[VideoVectors]],
) -> Iterator[VideoVectors]:
    """Bring a locked index up to date; when it is stopped, what is embedded so far is in the index.

    Args:
        index: The index.
        videos: Marks of the videos.
        changes: As `find_changes` returns them.
        embed: Embeds videos, each once and in any order.

    Yields:
        Every video once it is embedded.
    """
    index.drop({*changes.changed, *changes.deleted})
    waiting: list[VideoVectors] = []
    flushed = time.monotonic()
    try:
        for found in embed([*changes.new, *changes.changed]):
            waiting.append(found)
            if len(waiting) >= FLUSH_VIDEOS or time.monotonic() - flushed > FLUSH_SECONDS:
                index.add(waiting, videos)
                waiting, flushed = [], time.monotonic()
            yield found
    finally:
        index.add(waiting, videos)
    index.compact()
