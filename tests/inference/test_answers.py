"""Rankings of windows become a timeline without gaps."""

import pytest

from tc_clip_pl.inference.answers import UNKNOWN, Segment, best_label, merge, partition


def segment(start, end, run, walk):
    return Segment(start, end, tuple(sorted({"run": run, "walk": walk}.items(), key=lambda pair: -pair[1])))


def test_overlapping_windows_meet_in_the_middle():
    windows = [segment(0, 10, 0.9, 0.1), segment(5, 15, 0.8, 0.2), segment(10, 17, 0.1, 0.9)]
    assert [(s.start, s.end) for s in partition(windows)] == [(0, 7.5), (7.5, 12.5), (12.5, 17)]
    assert list(partition([])) == [] and list(partition(windows[:1])) == windows[:1]


def test_equal_neighbors_are_joined_and_their_probabilities_averaged_over_time():
    joined = list(merge([segment(0, 1, 0.9, 0.1), segment(1, 4, 0.7, 0.3), segment(4, 5, 0.2, 0.8)]))
    assert [(s.start, s.end, s.ranking[0][0]) for s in joined] == [(0, 4, "run"), (4, 5, "walk")]
    assert dict(joined[0].ranking) == pytest.approx({"run": 0.75, "walk": 0.25})


def test_unknown_segments_are_joined_whatever_their_best_label():
    joined = list(merge([segment(0, 1, 0.6, 0.4), segment(1, 2, 0.4, 0.6), segment(2, 3, 0.9, 0.1)], 0.7))
    assert [(s.start, s.end) for s in joined] == [(0, 2), (2, 3)]
    assert best_label(joined[0].ranking, 0.7) == UNKNOWN
    assert dict(joined[0].ranking) == pytest.approx({"run": 0.5, "walk": 0.5})
