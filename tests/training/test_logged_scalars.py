"""The speed and the gradient norm in the logs."""

import csv
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger

from tc_clip_pl.training import logged_scalars
from tc_clip_pl.training.device_clock import Moment
from tc_clip_pl.training.distributed import gradient_norm
from tc_clip_pl.training.logged_scalars import GradientNorm, SpeedMonitor
from tc_clip_pl.training.progress import LiveProgress


def test_speed_monitor_separates_waiting_from_working():
    monitor, batch = SpeedMonitor(), SimpleNamespace(video_id=["a", "b"])
    logged = {}
    module = SimpleNamespace(log=lambda key, value, **_: logged.update({key: value}))
    trainer = SimpleNamespace(world_size=2, progress_bar_callback=None)
    for index in range(4):
        time.sleep(0.03)
        monitor.on_train_batch_start(trainer, module, batch, index)
        time.sleep(0.01)
        monitor.on_train_batch_end(trainer, module, None, batch, index)
    speed = monitor.compute(world_size=2)
    assert speed["data_wait_share"] == pytest.approx(0.75, abs=0.15)
    assert speed["videos_per_second"] == pytest.approx(2 * 2 / 0.04, rel=0.3)
    assert {key: float(value) for key, value in logged.items()} == pytest.approx(
        {"train/videos_per_second": speed["videos_per_second"], "train/data_wait_share": speed["data_wait_share"]}
    )
    # Lightning would copy numbers to a GPU, and wait for it.
    assert all(isinstance(value, torch.Tensor) and value.device.type == "cpu" for value in logged.values())
    assert 2 * monitor.compute()["videos_per_second"] == speed["videos_per_second"]  # of one process


@pytest.mark.parametrize("bar, reads", [(TQDMProgressBar, True), (LiveProgress, False)])
def test_lightning_reads_metrics_in_every_batch_only_for_a_bar_of_its_own(
    make_module, make_data, make_trainer, bar, reads
):
    trainer = make_trainer(bar(), SpeedMonitor(), enable_progress_bar=True, limit_val_batches=0)
    trainer.fit(make_module(), datamodule=make_data())
    names = {"train/loss_step", "train/top1_step", "train/videos_per_second", "train/data_wait_share"}
    assert set(trainer.progress_bar_metrics) == (names if reads else set())
    assert names <= set(trainer.callback_metrics)


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


def test_gradient_norm_stays_on_its_device():
    # Joined with a number of the CPU, it would have to be waited for; what has no values cannot be copied there at all.
    module = torch.nn.Linear(2, 1, device="meta")
    module.weight.grad, module.bias.grad = torch.empty_like(module.weight), torch.empty_like(module.bias)
    assert gradient_norm(module).device.type == "meta"


def test_gradient_norm_is_that_of_all_gradients():
    logged = {}
    module = torch.nn.Linear(2, 1)
    module.weight.grad, module.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    module.log = lambda key, value, **_: logged.update({key: float(value)})
    trainer = SimpleNamespace(global_step=10, log_every_n_steps=5)
    GradientNorm().on_before_optimizer_step(trainer, module, None)
    assert logged == {"train/grad_norm": pytest.approx(5.0)}


class LateEvent:
    """An event of a GPU that gets there when it is told to."""

    done = 0.0  # milliseconds of the GPU's clock

    def __init__(self, milliseconds):
        self.milliseconds = milliseconds

    def query(self):
        return self.milliseconds <= LateEvent.done

    def elapsed_time(self, later):
        assert self.query() and later.query()
        return later.milliseconds - self.milliseconds


def test_a_gpu_behind_the_host_is_timed_by_its_own_clock(monkeypatch):
    # Batches arrive before the GPU is ready for them, so it does not wait, but for the third, which comes 60 ms late.
    arrivals, ends = [0.0, 100.0, 260.0, 300.0], [100.0, 200.0, 300.0, 400.0]
    moments, logged = iter(()), []
    monkeypatch.setattr(logged_scalars, "now", lambda device: next(moments))
    module = SimpleNamespace(log=lambda key, value, **_: logged.append((key, value)), batch_arrived=None)
    trainer, monitor, batch = (
        SimpleNamespace(world_size=1, progress_bar_callback=None),
        SpeedMonitor(),
        SimpleNamespace(video_id=["a", "b"]),
    )
    monitor.on_train_epoch_start(trainer, module)
    for index, (arrival, end) in enumerate(zip(arrivals, ends, strict=True)):
        LateEvent.done = ends[index - 2] if index > 1 else 0.0  # two batches behind
        module.batch_arrived = Moment(index + 0.1, LateEvent(arrival))
        moments = iter([Moment(index + 0.2, LateEvent(end))])
        monitor.on_train_batch_start(trainer, module, batch, index)
        monitor.on_train_batch_end(trainer, module, None, batch, index)
        assert bool(logged) == (index == 3)
    assert dict(logged) == {"train/videos_per_second": pytest.approx(20), "train/data_wait_share": 0}
    LateEvent.done = 400.0
    monitor.on_train_epoch_start(trainer, module)  # whatever a validation takes is not counted
    moments = iter([Moment(9.2, LateEvent(900.0))])
    module.batch_arrived = Moment(9.1, LateEvent(800.0))
    monitor.on_train_batch_start(trainer, module, batch, 4)
    monitor.on_train_batch_end(trainer, module, None, batch, 4)
    assert monitor.compute() == {"videos_per_second": pytest.approx(20), "data_wait_share": pytest.approx(0.2)}
