"""A small model learns static actions from true labels, and nothing from shuffled ones."""

import json
import os
import random
import shutil

import pytest

from datamodules.synthetic.actions import DEMO
from datamodules.synthetic.write_dataset import write_synthetic_dataset

ACTIONS = [action for action in DEMO if action.group == "static"]
CHANCE = 1 / 4


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    return write_synthetic_dataset(folder / "data", ACTIONS, unseen=(), train_films=24, test_films=12, size=48)


@pytest.fixture
def shuffled_videos(videos, tmp_path):
    """Return the same videos with their file names, and so their labels, shuffled."""
    clips = sorted(path.relative_to(videos) for path in videos.rglob("*.mp4"))
    shuffled = random.Random(0).sample(clips, len(clips))
    for name, source in zip(clips, shuffled, strict=True):
        (tmp_path / "shuffled" / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(videos / source, tmp_path / "shuffled" / name)
    shutil.copytree(videos / "annotations", tmp_path / "shuffled" / "annotations")
    return tmp_path / "shuffled"


def _top1(run, tmp_path, data):
    smaller = ["--data.num_frames", 4, "--model.config.num_context_tokens", 8, "--data.num_temporal_views", 1]
    smaller += ["--data.batch_size", 8, "--data.global_batch_size", 8]
    shorter = ["--trainer.max_epochs", 5, "--trainer.check_val_every_n_epoch", 99, "--ensembling.weights", 1]
    code, _, err = run("fit", "--data.root", data, *smaller, *shorter)
    assert code == 0, err
    (results,) = tmp_path.glob("outputs/demo/version_0/results.json")
    return json.loads(results.read_text())["runs"][0]["test_sets"]["hmdb51/split1"]["top1"]


def test_accuracy_is_far_above_chance(run, tmp_path, videos):
    assert _top1(run, tmp_path, videos) > 3 * CHANCE


@pytest.mark.slow
def test_shuffled_labels_give_chance(run, tmp_path, shuffled_videos):
    # 48 test clips: chance has a standard deviation of 0.063, and this is more than three of them.
    assert _top1(run, tmp_path, shuffled_videos) < CHANCE + 0.2
