"""Windows of some seconds: which frames they take, in training and in tests, and of which rate."""

import numpy as np
import pytest
import torch

from datamodules import HMDB51DataModule, SyntheticDataModule
from datamodules.errors import DataError
from datamodules.loading import build_test_dataset, build_training_dataset
from datamodules.options import ClipOptions
from datamodules.splits.split import VideoRecord
from datamodules.video.dataset import VideoDataset
from datamodules.video.window_sampling import WindowSampler


def formula(start, length, num_frames, n):
    """The published formula, in plain numbers."""
    end = start + length - 1
    steps = [start + (end - start) * i / (num_frames - 1) for i in range(num_frames)]
    return [int(min(max(step, 0), n - 1)) for step in steps]


@pytest.mark.parametrize("n", [300, 250, 129, 128, 60, 1])
@pytest.mark.parametrize("length", [128, 128 * 25 / 30])
def test_views_start_at_even_distances_from_start_to_end(n, length):
    found = WindowSampler(8, 128 / 30, num_views=3)(n, np.random.default_rng(0), length)
    starts = [view * (max(n - length, 0) // 2) for view in range(3)]
    assert found.tolist() == [formula(start, length, 8, n) for start in starts]
    assert found.dtype == np.int64


def test_a_single_view_is_in_the_middle():
    found = WindowSampler(4, 1.0)(101, np.random.default_rng(0), 11)
    assert found.tolist() == [formula(45, 11, 4, 101)]


def test_training_starts_anywhere():
    sample = WindowSampler(8, 1.0, is_random=True)
    found = np.concatenate([sample(200, np.random.default_rng(seed), 50.0) for seed in range(400)])
    assert found.min() >= 0 and found.max() <= 199
    assert set(np.diff(found[:, [0, -1]]).ravel()) <= {48, 49}  # both ends are cut to whole frames
    assert found[:, 0].min() < 5 and found[:, 0].max() > 144
    assert abs(found[:, 0].mean() - 75) < 8


@pytest.mark.parametrize(("milliseconds", "rate"), [(100, 10), (40, 25)])
def test_window_follows_the_frame_rate_of_the_file(videos, tmp_path, milliseconds, rate):
    path = videos.write(tmp_path / "a.mp4", 60, gap=lambda number: milliseconds)
    sampler = WindowSampler(5, 2.0, num_views=2)
    assert sampler.frames_of(path) == pytest.approx(2 * rate, rel=0.02)  # the last frame has a length of its own
    (clip,) = VideoDataset([VideoRecord(str(path), "a", 0)], sampler, torch.nn.Identity(), seed=1)
    found = [[videos.number(image.movedim(0, -1).numpy()) for image in view] for view in clip.video]
    length = sampler.frames_of(path)
    assert found == [formula(view * (60 - length) // 1, length, 5, 60) for view in range(2)]


def test_the_option_reaches_training_and_test(tmp_path, videos):
    path = videos.write(tmp_path / "a.mp4", 60)
    records, options = [VideoRecord(str(path), "a", 0)], ClipOptions(window_seconds=1.0, num_temporal_views=3)
    trained, tested = build_training_dataset(records, options), build_test_dataset(records, options)
    assert trained.sample_frames == WindowSampler(16, 1.0, is_random=True)
    assert tested.sample_frames == WindowSampler(16, 1.0, num_views=3)
    assert trained[0].video.shape[:2] == (1, 16) and tested[0].video.shape[:2] == (3, 16)


def test_unreadable_files_are_named(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match=r"bad\.mp4 cannot be opened as a video"):
        WindowSampler(5, 2.0).frames_of(tmp_path / "bad.mp4")
    record, options = (
        VideoRecord(str(tmp_path / "bad.mp4"), "bad", 0),
        ClipOptions(window_seconds=1.0, on_bad_video="skip"),
    )
    assert "cannot be opened" in build_test_dataset([record], options)[0].error


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_wrong_lengths_are_one_sentence(seconds, tmp_path):
    with pytest.raises(DataError, match=rf"--data\.window_seconds is {seconds:g}; it must be above 0"):
        HMDB51DataModule(str(tmp_path), window_seconds=seconds).setup()


def test_generated_films_have_no_seconds():
    with pytest.raises(DataError, match="generated films have no frame rate"):
        SyntheticDataModule(window_seconds=1.0).setup()
