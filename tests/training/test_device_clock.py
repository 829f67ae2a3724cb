"""Moments of the host, and of a GPU that is behind it."""

import time
from collections import deque
from types import SimpleNamespace

import pytest
import torch

from tc_clip_pl.training.device_clock import Moment, now, take_past
from tests.devices import needs_gpu


@pytest.mark.parametrize("device", [None, torch.device("cpu")])
def test_a_moment_without_a_gpu_is_the_hosts(device):
    before = time.perf_counter()
    first, second = now(device), now(device)
    assert before <= first.seconds <= second.seconds <= time.perf_counter()
    assert first.event is None and first.has_come
    assert first.seconds_until(second) == second.seconds - first.seconds


def test_a_gpu_tells_itself_when_it_got_there():
    early = SimpleNamespace(query=lambda: True, elapsed_time=lambda later: later.milliseconds - 100.0)
    late = SimpleNamespace(query=lambda: False, milliseconds=350.0)
    assert Moment(1.0, early).has_come and not Moment(1.5, late).has_come
    assert Moment(1.0, early).seconds_until(Moment(1.5, late)) == 0.25
    assert Moment(1.0, early).seconds_until(Moment(1.5)) == 0.5  # a clock alone compares with its own moments only


def test_what_the_gpu_has_done_is_taken_in_order_up_to_the_first_that_it_has_not():
    has_come = [True, True, False, True]
    moments = [Moment(0.0, SimpleNamespace(query=lambda come=come: come)) for come in has_come]
    unread = deque((number, moment) for number, moment in enumerate(moments))
    assert [number for number, _ in take_past(unread)] == [0, 1]
    assert [number for number, _ in unread] == [2, 3]
    assert not list(take_past(deque()))


@needs_gpu
def test_events_of_a_gpu_measure_what_it_did():
    device = torch.device("cuda")
    matrix = torch.randn(4096, 4096, device=device)
    start = now(device)
    for _ in range(20):
        matrix = matrix @ matrix
    end = now(device)
    torch.cuda.synchronize()
    assert start.has_come and end.has_come and 0 < start.seconds_until(end) < 10
