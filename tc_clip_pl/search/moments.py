"""The moments of an index that are nearest to a vector, by FAISS."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from datamodules.errors import DataError
from tc_clip_pl.search.index import VideoIndex

EXACT_UP_TO = 1_000_000
"""Vectors that are all compared; above, FAISS compares those of the nearest cells."""
PROBED = 32
"""One cell in so many is searched."""
TRAINING_VECTORS = 64
"""For each cell, to find its center."""


@dataclass(frozen=True)
class Moment:
    """A part of a video that was found.

    Attributes:
        video: Path or URL of the video.
        start: Its begin, in seconds from the first frame.
        end: Its end, in seconds.
        score: Cosine with the query, -1 to 1.
    """

    video: str
    start: float
    end: float
    score: float


class MomentSearch:
    """An index in memory, for several queries.

    Args:
        index: The index. With more than a million vectors, the first search writes an inverted file for FAISS next to
            them, and later ones read it.
        exact_up_to: Another limit than a million.

    Raises:
        DataError: The index is empty or damaged, or FAISS is not installed.
    """

    def __init__(self, index: VideoIndex, exact_up_to: int = EXACT_UP_TO) -> None:
        self.videos, self.times, vectors = index.read()
        self.is_exact = len(vectors) <= exact_up_to
        self._faiss = _flat(vectors) if self.is_exact else _inverted(index, vectors)

    def find(self, query: np.ndarray, top: int) -> list[Moment]:
        """Find the moments nearest to an (E,) unit vector, the nearest first.

        Of windows of a video that overlap, only the best one counts.
        """
        asked = 4 * top
        while True:
            asked = min(asked, len(self.videos))
            scores, rows = self._faiss.search(query[None].astype(np.float32), asked)
            found = self._without_overlaps(scores[0], rows[0])
            if len(found) >= top or asked == len(self.videos):
                return found[:top]
            asked *= 4

    def _without_overlaps(self, scores: np.ndarray, rows: np.ndarray) -> list[Moment]:
        taken: dict[str, list[tuple[float, float]]] = {}
        found = []
        for score, row in zip(scores.tolist(), rows.tolist(), strict=True):
            if row < 0:  # FAISS has no more
                break
            (start, end), video = self.times[row].tolist(), self.videos[row]
            spans = taken.setdefault(video, [])
            if all(end <= other_start or start >= other_end for other_start, other_end in spans):
                spans.append((start, end))
                found.append(Moment(video, start, end, score))
        return found


def _import_faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise DataError("Search needs FAISS: pip install faiss-cpu.") from error
    return faiss


def _flat(vectors: np.ndarray) -> Any:
    flat = _import_faiss().IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    return flat


def _inverted(index: VideoIndex, vectors: np.ndarray) -> Any:
    """Read the inverted file of an index; make it where there is none, or one of an earlier state."""
    faiss = _import_faiss()
    state = hashlib.sha256(json.dumps([shard.videos for shard in index.shards]).encode()).hexdigest()[:12]
    file = index.folder / f"inverted-{state}.faiss"
    if not file.is_file():
        num_cells = int(math.sqrt(len(vectors)))
        cells = faiss.IndexFlatIP(vectors.shape[1])
        inverted = faiss.IndexIVFFlat(cells, vectors.shape[1], num_cells, faiss.METRIC_INNER_PRODUCT)
        chosen = np.random.default_rng(0).permutation(len(vectors))[: TRAINING_VECTORS * num_cells]
        inverted.train(vectors[chosen])
        inverted.add(vectors)
        for old in index.folder.glob("inverted-*.faiss"):
            old.unlink()
        unfinished = file.with_suffix(".unfinished")
        faiss.write_index(inverted, str(unfinished))
        unfinished.replace(file)
    inverted = faiss.read_index(str(file))
    inverted.nprobe = max(1, inverted.nlist // PROBED)
    return inverted
