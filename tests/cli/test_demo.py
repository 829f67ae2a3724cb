"""The demo in small learns what it is shown, and nothing where there is nothing to learn."""

import json
import os
import random

import pytest

from datamodules.synthetic.moving_shapes import write_synthetic_dataset

CHANCE = 1 / 8


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    return write_synthetic_dataset(folder, train_clips=12, test_clips=6, seconds=0.8)


@pytest.fixture
def shuffled_films(films, tmp_path):
    """The same films, dealt out to the names of the clips at random."""
    clips = sorted(path.relative_to(films) for path in films.glob("*/*.mp4"))
    dealt = random.Random(0).sample(clips, len(clips))
    for name, source in zip(clips, dealt, strict=True):
        (tmp_path / "shuffled" / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(films / source, tmp_path / "shuffled" / name)
    for split_file in films.glob("*.txt"):
        os.link(split_file, tmp_path / "shuffled" / split_file.name)
    return tmp_path / "shuffled"


def _top1(run, tmp_path, data):
    smaller = ["--data.num_frames", 4, "--model.config.num_context_tokens", 8, "--data.num_temporal_views", 1]
    smaller += ["--data.batch_size", 8, "--data.global_batch_size", 8]
    shorter = ["--trainer.max_epochs", 5, "--trainer.check_val_every_n_epoch", 99, "--ensembling.weight", 1]
    code, _, err = run("fit", "--data.root", data, *smaller, *shorter)
    assert code == 0, err
    (results,) = tmp_path.glob("outputs/demo/version_0/results.json")
    return json.loads(results.read_text())["runs"][0]["test_sets"]["hmdb51/split1"]["top1"]


def test_accuracy_is_far_above_chance(run, tmp_path, films):
    assert _top1(run, tmp_path, films) > 3 * CHANCE


def test_shuffled_labels_give_chance(run, tmp_path, shuffled_films):
    # 48 test clips: chance has a standard deviation of 0.048, so this is more than three of them.
    assert _top1(run, tmp_path, shuffled_films) < CHANCE + 0.16
