"""The speed and the gradient norm in the logs."""

import csv
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.loggers import CSVLogger

from tc_clip_pl.training.logged_scalars import GradientNorm, SpeedMonitor


def test_speed_monitor_separates_waiting_from_working():
    monitor, batch = SpeedMonitor(), SimpleNamespace(video_id=["a", "b"])
    shown = {}
    log = lambda key, value, prog_bar=False, **_: shown.update({key: prog_bar})  # noqa: E731
    trainer, module = SimpleNamespace(world_size=2), SimpleNamespace(log=log)
    for index in range(4):
        time.sleep(0.03)
        monitor.on_train_batch_start(trainer, module, batch, index)
        time.sleep(0.01)
        monitor.on_train_batch_end(trainer, module, None, batch, index)
    speed = monitor.compute(world_size=2)
    assert speed["data_wait_share"] == pytest.approx(0.75, abs=0.15)
    assert speed["videos_per_second"] == pytest.approx(2 * 2 / 0.04, rel=0.3)
    assert shown == {"train/videos_per_second": True, "train/data_wait_share": True}  # on the live line
    assert 2 * monitor.compute()["videos_per_second"] == speed["videos_per_second"]  # of one process


def test_augmenting_a_batch_is_no_waiting(make_module, make_data, make_trainer):
    monitor, data = SpeedMonitor(), make_data()
    prepare = data.on_after_batch_transfer

    def prepare_slowly(batch, dataloader_idx):
        time.sleep(0.2)
        return prepare(batch, dataloader_idx)

    data.on_after_batch_transfer = prepare_slowly
    make_trainer(monitor).fit(make_module(), datamodule=data)
    assert monitor.compute()["data_wait_share"] < 0.3


def test_logs_speed_and_gradient_norm(make_module, make_data, make_trainer, tmp_path):
    logger = CSVLogger(tmp_path, name="csv")
    trainer = make_trainer(SpeedMonitor(), GradientNorm(), logger=logger, log_every_n_steps=1)
    trainer.fit(make_module(), datamodule=make_data())
    rows = list(csv.DictReader(Path(logger.log_dir, "metrics.csv").read_text().splitlines()))
    assert sum(bool(row["train/grad_norm"]) for row in rows) == 3
    assert all(float(row["train/grad_norm"]) > 0 for row in rows if row["train/grad_norm"])
    assert any(float(row["train/videos_per_second"] or 0) > 0 for row in rows)
    assert all(0 <= float(row["train/data_wait_share"] or 0) <= 1 for row in rows)


def test_gradient_norm_is_that_of_all_gradients():
    logged = {}
    module = torch.nn.Linear(2, 1)
    module.weight.grad, module.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    module.log = lambda key, value, **_: logged.update({key: float(value)})
    trainer = SimpleNamespace(global_step=10, log_every_n_steps=5)
    GradientNorm().on_before_optimizer_step(trainer, module, None)
    assert logged == {"train/grad_norm": pytest.approx(5.0)}
