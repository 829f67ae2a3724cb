"""Speed, gradient norm, skipped clips and the confusion matrix."""

import csv
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tc_clip_pl.training.confusion_matrix import ConfusionMatrixPicture
from tc_clip_pl.training.logging_callbacks import GradientNorm, SkippedClips, SpeedMonitor


def test_speed_monitor_separates_waiting_from_working():
    monitor, batch = SpeedMonitor(), SimpleNamespace(video_id=["a", "b"])
    trainer, module = SimpleNamespace(world_size=2), SimpleNamespace(log=lambda *_, **__: None)
    for index in range(4):
        time.sleep(0.03)
        monitor.on_train_batch_start(trainer, module, batch, index)
        time.sleep(0.01)
        monitor.on_train_batch_end(trainer, module, None, batch, index)
    speed = monitor.compute(world_size=2)
    assert speed["data_wait_share"] == pytest.approx(0.75, abs=0.15)
    assert speed["videos_per_second"] == pytest.approx(2 * 2 / 0.04, rel=0.3)
    assert 2 * monitor.compute()["videos_per_second"] == speed["videos_per_second"]  # of one process


def test_logs_speed_and_gradient_norm(make_module, make_data, make_trainer, tmp_path):
    logger = CSVLogger(tmp_path, name="csv")
    trainer = make_trainer(SpeedMonitor(), GradientNorm(), logger=logger, log_every_n_steps=1)
    trainer.fit(make_module(), datamodule=make_data())
    rows = list(csv.DictReader(Path(logger.log_dir, "metrics.csv").read_text().splitlines()))
    assert sum(bool(row["train/grad_norm"]) for row in rows) == 3
    assert all(float(row["train/grad_norm"]) > 0 for row in rows if row["train/grad_norm"])
    assert any(float(row["train/videos_per_second"] or 0) > 0 for row in rows)
    assert all(0 <= float(row["train/data_wait_share"] or 0) <= 1 for row in rows)


def test_confusion_matrix_goes_to_tensorboard(make_module, make_data, make_trainer, tmp_path):
    logger = TensorBoardLogger(tmp_path, name="tb")
    make_trainer(ConfusionMatrixPicture(), logger=logger, num_sanity_val_steps=2).fit(
        make_module(), datamodule=make_data()
    )
    logger.finalize("success")
    events = EventAccumulator(logger.log_dir)
    events.Reload()
    assert [event.step for event in events.Images("val/confusion_matrix")] == [3]


def test_skipped_clips_are_listed_once_each():
    callback = SkippedClips()
    assert callback.report() is None
    for skipped in (["a.avi: empty"], [], ["a.avi: empty", "b.avi: truncated"]):
        callback.on_test_batch_end(None, None, None, SimpleNamespace(skipped=skipped), 0)
    assert callback.report().splitlines()[1:] == ["  a.avi: empty", "  b.avi: truncated"]
    assert callback.report().startswith("2 clip(s)")


def test_gradient_norm_is_that_of_all_gradients():
    logged = {}
    module = torch.nn.Linear(2, 1)
    module.weight.grad, module.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    module.log = lambda key, value, **_: logged.update({key: float(value)})
    trainer = SimpleNamespace(global_step=10, log_every_n_steps=5)
    GradientNorm().on_before_optimizer_step(trainer, module, None)
    assert logged == {"train/grad_norm": pytest.approx(5.0)}
