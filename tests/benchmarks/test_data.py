"""The stages of reading a clip, and the share of time that a training step waits."""

import time

import pytest
import torch

from datamodules import DataError, SyntheticFilesDataModule, write_synthetic_dataset
from datamodules.synthetic.actions import DEMO
from datamodules.video.stages import StageClock, stage
from tc_clip_pl.benchmarks.data import STAGES, benchmark_data, thin_out

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    root = tmp_path_factory.mktemp("films") / "films"
    return write_synthetic_dataset(root, DEMO[:2], unseen=(), train_films=6, test_films=1)


def set_up(films, **options):
    own = {"num_frames": 2, "image_size": 32, "batch_size": 4, "num_workers": 0, "num_temporal_views": 1}
    module = SyntheticFilesDataModule(films, **own, **options)
    module.setup("fit")
    return module


@pytest.fixture
def data(films):
    return set_up(films)


@pytest.mark.parametrize(
    ("cached", "absent"), [(False, {"cache"}), (True, {"open", "index", "decode", "convert"})], ids=["files", "cache"]
)
def test_every_stage_is_timed(films, tmp_path, cached, absent):
    rows = {row.name: row for row in benchmark_data(set_up(films, cache=str(tmp_path) if cached else None), CPU)}
    expected = [name for name in STAGES if name not in absent]
    assert list(rows) == ["loader, epoch 1", "loader, epoch 2", *expected]
    assert all(rows[name].timing.median > 0 for name in expected)
    assert rows["loader, epoch 2"].measured["rate"] > 0
    assert "wait_share" not in rows["loader, epoch 1"].measured


def test_waiting_is_what_the_step_leaves(data):
    seen = []

    def step(batch):
        seen.append(tuple(batch.video.shape))
        time.sleep(0.3)

    epochs = [row for row in benchmark_data(data, CPU, step) if "epoch" in row.settings]
    assert seen == [(4, 1, 2, 3, 32, 32)] * 6  # augmented, in two epochs of three whole batches
    assert all(0 < row.measured["wait_share"] < 0.5 for row in epochs)
    assert all(row.measured["rate"] < 4 / 0.3 for row in epochs)

    quick = next(benchmark_data(data, CPU, lambda batch: None))
    assert quick.measured["wait_share"] > max(row.measured["wait_share"] for row in epochs)


def test_clips_are_thinned_out_over_all_classes(data):
    thin_out(data, 8)
    labels = [record.label for record in data.datasets["train"].records]
    assert sorted(labels) == [0, 0, 0, 0, 1, 1, 1, 1]


def test_too_few_clips(data):
    with pytest.raises(DataError, match="7 clips are too few for two batches of 4"):
        thin_out(data, 7)


def test_a_stage_inside_another_stops_its_clock():
    with StageClock().running() as clock, stage("outer"):
        time.sleep(0.02)
        with stage("inner"):
            time.sleep(0.1)
        time.sleep(0.02)
    assert clock.seconds["inner"] > 0.1
    assert 0.04 < clock.seconds["outer"] < 0.1
    with stage("after"):
        pass
    assert set(clock.seconds) == {"inner", "outer"}
