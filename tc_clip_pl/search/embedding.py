"""Videos to one vector per window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tc_clip_pl.inference.pipeline import map_batches
from tc_clip_pl.inference.recognizer import Recognizer
from tc_clip_pl.inference.replica import Replica
from tc_clip_pl.search.window_loader import Piece, load_windows

Embedded = tuple[Piece, np.ndarray | None]


@dataclass(frozen=True)
class VideoVectors:
    """The W windows of a video.

    Attributes:
        video: Its path or URL.
        times: (W, 2) float64, start and end of each window in seconds.
        vectors: (W, E) float32 at unit norm.
        error: Why the video could not be read, or None; then W is 0.
    """

    video: str
    times: np.ndarray
    vectors: np.ndarray
    error: str | None = None


def embed_videos(recognizer: Recognizer, videos: Sequence[str], window: float, stride: float) -> Iterator[VideoVectors]:
    """Embed the windows of videos, decoded by workers ahead of the model.

    Args:
        recognizer: The model with its devices and options.
        videos: Paths or URLs.
        window: Length of a window, in seconds; `inf` for the whole video.
        stride: From the start of a window to that of the next, in seconds.

    Yields:
        Every video once, in the order in which they are finished; one that cannot be read has an `error`.
    """
    width = recognizer.replicas[0].model.config.projection_dim
    open_videos: dict[str, list[tuple[float, float, np.ndarray]]] = {}
    batches = load_windows(videos, window, stride, recognizer.options)
    for batch in map_batches(_embed, recognizer.replicas, batches):
        for piece, vector in batch:
            rows = open_videos.setdefault(piece.video, [])
            if piece.window is not None:
                rows.append((piece.window.start, piece.window.end, vector))
                continue
            del open_videos[piece.video]
            rows = [] if piece.error else rows  # half a video is none
            times = np.array([row[:2] for row in rows], np.float64).reshape(-1, 2)
            vectors = np.array([row[2] for row in rows], np.float32).reshape(-1, width)
            yield VideoVectors(piece.video, times, vectors, piece.error)


def embed_text(recognizer: Recognizer, text: str) -> np.ndarray:
    """Embed words as an (E,) float32 unit vector; with video-conditional prompting, by the learned prompts alone.

    Raises:
        ValueError: The text is too long for the text encoder.
    """
    return recognizer.replicas[0].embed_texts([text])[0].numpy()


def _embed(replica: Replica, pieces: list[Piece]) -> list[Embedded]:
    clips = [piece.window.clip for piece in pieces if piece.window is not None]
    vectors = iter(replica.embed(torch.stack(clips)).numpy() if clips else ())
    return [(piece, None if piece.window is None else next(vectors)) for piece in pieces]
