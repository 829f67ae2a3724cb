"""Clip options: their checks, and that the code knows every word of them."""

from dataclasses import FrozenInstanceError
from typing import get_args

import pytest

from datamodules.errors import DataError
from datamodules.options import ClipOptions, Decoder, FrameSampling, SpatialViews, check_choice, check_positive
from datamodules.transforms.spatial import EVALUATION_CROPS
from datamodules.video.decoding import DECODERS
from datamodules.video.frame_sampling import FRAME_SAMPLINGS


@pytest.mark.parametrize(
    ("words", "implemented"),
    [(Decoder, DECODERS), (FrameSampling, FRAME_SAMPLINGS), (SpatialViews, EVALUATION_CROPS)],
)
def test_every_word_is_implemented(words, implemented):
    assert set(get_args(words)) == set(implemented)


@pytest.mark.parametrize("name", ["num_frames", "image_size", "batch_size", "num_temporal_views"])
def test_raises_on_zero(name):
    with pytest.raises(DataError, match=rf"^--data\.{name} is 0; it must be at least 1\.$"):
        ClipOptions(**{name: 0}).check()


@pytest.mark.parametrize("name", ["num_workers", "worker_timeout", "seed"])
def test_raises_on_negative_numbers(name):
    with pytest.raises(DataError, match=rf"^--data\.{name} is -1; it must be at least 0\.$"):
        ClipOptions(**{name: -1}).check()


@pytest.mark.parametrize(
    ("name", "most"), [("num_frames", 1024), ("image_size", 2048), ("num_temporal_views", 1024), ("num_workers", 1024)]
)
def test_raises_before_memory_runs_out(name, most):
    ClipOptions(**{name: most}).check()
    with pytest.raises(
        DataError, match=rf"^--data\.{name} is 100000; it must be at most {most}, as more would exhaust"
    ):
        ClipOptions(**{name: 100_000}).check()


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("decoder", "opencv", "auto, pyav, decord, torchcodec"),
        ("num_spatial_views", 2, "1, 3"),
        ("frame_sampling", "uniform", "center, random"),
        ("on_bad_video", "ignore", "raise, skip"),
    ],
)
def test_raises_on_an_unknown_word(name, value, known):
    with pytest.raises(DataError, match=rf"--data\.{name} is {value!r}; choose one of {known}\."):
        ClipOptions(**{name: value}).check()


def test_options_are_frozen():
    with pytest.raises(FrozenInstanceError):
        ClipOptions().num_frames = 8


def test_none_means_not_set():
    check_positive(num_shots=None, split=1)
    check_choice("setting", "standard", {"standard": ()})
