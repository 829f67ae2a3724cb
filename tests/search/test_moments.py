"""The nearest moments: exact ones, without overlaps, and those of an inverted file."""

import numpy as np
import pytest

from tc_clip_pl.search.embedding import VideoVectors
from tc_clip_pl.search.index import IndexSettings, VideoIndex
from tc_clip_pl.search.moments import MomentSearch

SETTINGS = IndexSettings("m", "abc", {}, 2.0, 1.0)


def unit(values):
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def index(tmp_path):
    """Forty videos of 100 windows of 2 s, every second."""
    rng = np.random.default_rng(0)
    index = VideoIndex.create(tmp_path / "index", SETTINGS)
    times = np.stack([np.arange(100.0), np.arange(100.0) + 2], 1)
    found = [VideoVectors(f"{n}.mp4", times, unit(rng.normal(size=(100, 16)))) for n in range(40)]
    index.add(found, {video.video: "1" for video in found})
    return index


def test_exact_search_is_a_sorted_list_without_overlaps(index):
    videos, times, vectors = index.read()
    query = unit(np.random.default_rng(1).normal(size=16))
    scores = vectors @ query
    expected = []
    for row in np.argsort(-scores):
        start, end = times[row]
        if all(video != videos[row] or end <= s or start >= e for video, s, e, _ in expected):
            expected.append((videos[row], start, end, scores[row]))
    search = MomentSearch(index)
    assert search.is_exact
    for top in (1, 10, 200):
        found = search.find(query, top)
        assert [(m.video, m.start, m.end) for m in found] == [row[:3] for row in expected[:top]]
        assert [m.score for m in found] == pytest.approx([row[3] for row in expected[:top]], abs=1e-5)
    assert len(search.find(query, 10**6)) == len(expected)


def test_beyond_the_limit_cells_are_searched(index):
    _, _, vectors = index.read()
    search = MomentSearch(index, exact_up_to=3999)
    assert not search.is_exact and MomentSearch(index, exact_up_to=4000).is_exact
    hits = sum(search.find(vectors[row], 1)[0].score > 0.999 for row in range(0, 4000, 40))
    assert hits == 100  # a vector lies in its own cell
    (file,) = index.folder.glob("inverted-*.faiss")
    made = file.stat().st_mtime_ns
    MomentSearch(index, exact_up_to=3999)
    assert file.stat().st_mtime_ns == made
    with index.writing():
        index.drop({"0.mp4"})
    again = MomentSearch(index, exact_up_to=1)
    assert not file.exists() and len(list(index.folder.glob("inverted-*.faiss"))) == 1
    assert all(moment.video != "0.mp4" for moment in again.find(vectors[0], 50))
