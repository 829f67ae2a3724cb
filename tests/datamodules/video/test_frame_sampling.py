"""Frame indices, compared to plain loops."""

import pickle

import numpy as np
import pytest

from datamodules.video.frame_sampling import FrameSampler, multi_view, multi_view_random, segment_center, segment_random

LENGTHS = [1, 3, 15, 16, 17, 31, 32, 100, 301]


@pytest.mark.parametrize("num_available", LENGTHS)
@pytest.mark.parametrize("num_frames", [1, 8, 16])
def test_center_matches_formula(num_available, num_frames):
    expected = [int((i + 0.5) * num_available / num_frames) for i in range(num_frames)]
    assert segment_center(num_available, num_frames).tolist() == expected


@pytest.mark.parametrize("num_available", LENGTHS)
@pytest.mark.parametrize("num_views", [1, 2, 4])
def test_views_match_loop(num_available, num_views):
    views = multi_view(num_available, 8, num_views)
    for view in range(num_views):
        for segment in range(8):
            assert views[view, segment] == int((segment + (view + 0.5) / num_views) * num_available / 8)


def test_one_view_takes_the_centers():
    assert np.array_equal(multi_view(97, 16, 1)[0], segment_center(97, 16))


@pytest.mark.parametrize("num_available", [16, 17, 31, 100])
def test_random_draws_every_frame_of_every_segment(num_available):
    rng = np.random.default_rng(0)
    draws = np.stack([segment_random(num_available, 16, rng) for _ in range(400)])
    length = num_available // 16
    for segment in range(16):
        assert set(draws[:, segment]) == set(range(segment * length, (segment + 1) * length))


def test_frames_of_a_short_video_are_repeated_evenly():
    assert segment_random(3, 8, np.random.default_rng(0)).tolist() == [i * 3 // 8 for i in range(8)]


def test_random_views_differ_and_are_reproducible():
    views = multi_view_random(200, 8, 3, np.random.default_rng(5))
    assert views.shape == (3, 8) and not np.array_equal(views[0], views[1])
    assert np.array_equal(views, multi_view_random(200, 8, 3, np.random.default_rng(5)))


@pytest.mark.parametrize("kind", ["center", "random"])
@pytest.mark.parametrize("num_available", LENGTHS)
def test_sampler_stays_inside_the_video_and_can_be_pickled(kind, num_available):
    sampler = pickle.loads(pickle.dumps(FrameSampler(kind, 16, num_views=4)))
    indices = sampler(num_available, np.random.default_rng(0))
    assert indices.shape == (4, 16) and indices.min() >= 0 and indices.max() < num_available


def test_sampler_takes_one_view_unless_told():
    rng = np.random.default_rng(0)
    assert FrameSampler("center", 8)(97, rng).tolist() == [segment_center(97, 8).tolist()]
    assert FrameSampler("random", 8)(97, rng).shape == (1, 8)
