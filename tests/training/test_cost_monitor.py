"""What a test costs, with a clock that the test sets."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tc_clip_pl.training import cost_monitor, device_clock
from tc_clip_pl.training.cost_monitor import CostMonitor
from tc_clip_pl.training.device_clock import Moment

STATUS = Path("/proc/self/status")


def run_batches(monitor, count, monkeypatch, times):
    """Run the hooks of a test on two processes: batches of 3 clips x 2 views, scored with two sets of weights."""
    monkeypatch.setattr(device_clock.time, "perf_counter", iter(times).__next__)
    trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu")), world_size=2)
    module, batch = SimpleNamespace(weight_sets={1.0: {}, 0.7: {}}), SimpleNamespace(video=torch.empty(3, 2, 1))
    monitor.on_test_start(trainer, module)
    for number in range(count):
        monitor.on_test_batch_start(trainer, module, batch, number)
        monitor.on_test_batch_end(trainer, module, None, batch, number)


def test_first_batch_of_a_pass_is_not_timed(monkeypatch):
    monitor = CostMonitor()
    run_batches(monitor, 3, monkeypatch, [0.0, 50.0, 50.5, 51.0, 52.5])  # start; start, end; start, end
    of_batch = 3 * 2 * 2 * 2
    assert monitor.measure()["views_per_second"] == pytest.approx(2 * of_batch / 2.0)
    run_batches(monitor, 2, monkeypatch, [60.0, 70.0, 72.0])  # a second pass counts too
    assert monitor.measure()["views_per_second"] == pytest.approx(3 * of_batch / 4.0)


def test_a_gpu_is_read_when_it_has_come_so_far_and_waited_for_at_the_end(monkeypatch):
    class Event:
        reached, recorded = 0, 0  # milliseconds of the GPU's clock, and events

        def __init__(self):
            Event.recorded += 1
            self.at = 10 * Event.recorded**2

        def query(self):
            return Event.reached >= self.at

        def synchronize(self):
            Event.reached = max(Event.reached, self.at)

        def elapsed_time(self, end):
            assert self.query() and end.query()
            return end.at - self.at

    monkeypatch.setattr(cost_monitor, "now", lambda device: Moment(0.0, Event()))
    monitor = CostMonitor()
    run_batches(monitor, 4, monkeypatch, [])
    assert Event.reached == 0  # nothing was waited for
    Event.reached = 100  # behind the second batch, of 50 ms; the others take 90 and 130
    of_batch = 3 * 2 * 2 * 2
    assert monitor.measure()["views_per_second"] == pytest.approx(3 * of_batch / 0.27)


def test_speed_of_a_single_batch_is_unknown(monkeypatch):
    monitor = CostMonitor()
    run_batches(monitor, 1, monkeypatch, [0.0])
    assert monitor.measure()["views_per_second"] is None


def test_memory_is_the_peak_of_the_process():
    peak = CostMonitor().measure()["memory_gib"]
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    assert peak == pytest.approx(int(line.split()[1]) / 2**20, rel=0.05)
