"""One clip of a dataset: its frames, crops and seed, and unreadable files."""

import numpy as np
import pytest
import torch

from datamodules.errors import DataError
from datamodules.splits.split import VideoRecord
from datamodules.transforms.spatial import build_evaluation_crop, build_training_crop
from datamodules.video.dataset import VideoDataset
from datamodules.video.frame_sampling import FrameSampler
from datamodules.video.samplers import SampleKey, clip_seed


@pytest.fixture
def records(videos, tmp_path):
    videos.write(tmp_path / "good.mp4", 50, options={"g": "10"})
    (tmp_path / "bad.mp4").write_text("text")
    return [VideoRecord(str(tmp_path / name), name, label) for label, name in enumerate(("good.mp4", "bad.mp4"))]


def training(records, **settings):
    return VideoDataset(records, FrameSampler("random", 4), build_training_crop(32), seed=1, **settings)


def test_evaluation_views_show_the_sampled_frames(records, videos):
    frames = FrameSampler("center", 4, num_views=2)
    clip = VideoDataset(records, frames, torch.nn.Identity(), seed=1)[0]
    assert clip.video.shape == (2, 4, 3, 64, 128) and clip.video.dtype == torch.uint8
    numbers = [[videos.number(image.movedim(0, -1).numpy()) for image in view] for view in clip.video]
    assert numbers == frames(50, np.random.default_rng(0)).tolist()


def test_crops_multiply_the_views(records):
    dataset = VideoDataset(records, FrameSampler("center", 4, 2), build_evaluation_crop(32, 3), seed=1)
    assert dataset[0].video.shape == (6, 4, 3, 32, 32)


def test_draws_depend_only_on_seed_epoch_and_clip(records):
    dataset = training(records)
    torch.manual_seed(0)
    first = dataset[SampleKey(2, 0)]
    torch.manual_seed(99)
    again = dataset[SampleKey(2, 0)]
    assert torch.equal(first.video, again.video) and first.seed == again.seed == clip_seed(1, 2, 0)
    assert not torch.equal(first.video, dataset[SampleKey(3, 0)].video)


def test_raises_on_an_unreadable_clip(records):
    with pytest.raises(DataError, match=r"bad\.mp4"):
        training(records)[1]


def test_skipped_clip_names_file_and_reason(records):
    clip = training(records, on_bad_video="skip")[1]
    assert clip.error.startswith("bad.mp4: ") and "cannot be decoded" in clip.error
    assert clip.video.shape == (1, 4, 3, 32, 32) and not clip.video.any()


def test_padding_has_no_label(records):
    clip = training(records)[SampleKey(0, 0, is_padding=True)]
    assert clip.label == -1 and clip.error is None


def test_plain_index_means_the_first_epoch(records):
    dataset = training(records)
    assert dataset[0].seed == dataset[SampleKey(0, 0)].seed != dataset[SampleKey(1, 0)].seed
