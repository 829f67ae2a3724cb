"""Rates, shares and ratios of measured rows, and what happens where the memory does not suffice."""

import pytest
import torch

from tc_clip_pl.benchmarks.rows import OUT_OF_MEMORY, Row, as_records, measure
from tc_clip_pl.benchmarks.timing import Timing, summarize, time_call, time_calls

CPU = torch.device("cpu")


def timed(seconds):
    return Timing(seconds, 0.9 * seconds, 1.1 * seconds, 1.2 * seconds, 5.0, None)


def row(name, seconds, batch_size, is_baseline=False, means="plain", **rest):
    shape = {"batch_size": batch_size, "means": means}
    return Row(name, {"batch_size": batch_size}, timed(seconds), batch_size, 10**9, "", shape, is_baseline, **rest)


def test_rate_share_and_ratio_follow_from_the_time():
    rows = [row("TC", 0.5, 8), row("TC", 0.4, 1), row("CLIP", 0.25, 8, is_baseline=True)]
    first, second, baseline = as_records(rows, peak_tflops=0.016)
    assert first["rate"] == 16 and baseline["rate"] == 32
    assert first["ratio"] == 0.5 and baseline["ratio"] == 1
    assert second["ratio"] is None  # no baseline has its batch size
    assert first["tflops"] == pytest.approx(2 * 1e9 / 0.5 / 1e12)
    assert first["peak_share"] == pytest.approx(0.25)
    assert (first["median_ms"], first["low_ms"], first["high_ms"]) == pytest.approx((500, 450, 550))


def test_a_baseline_counts_for_its_own_means_only():
    rows = [row("TC", 0.5, 8, means="compiled"), row("CLIP", 0.25, 8, is_baseline=True, means="plain")]
    assert [record["ratio"] for record in as_records(rows, None)] == [None, 1]


def test_what_was_measured_otherwise_takes_its_place():
    loader = Row("loader", {}, None, measured={"rate": 7.0, "wait_share": 0.1})
    (record,) = as_records([loader], None)
    assert (record["rate"], record["wait_share"], record["median_ms"]) == (7.0, 0.1, None)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("not enough memory: you tried to allocate")]
)
def test_a_row_that_does_not_fit_says_so(error):
    def run():
        raise error

    assert measure(lambda: time_call(run, CPU, 1)) == (None, OUT_OF_MEMORY)
    (record,) = as_records([Row("TC", {}, None, note=OUT_OF_MEMORY)], 1.0)
    assert record["note"] == OUT_OF_MEMORY and record["rate"] is None and record["ratio"] is None


def test_another_error_is_raised():
    def run():
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        measure(lambda: time_call(run, CPU, 1))


def test_calls_are_counted_and_summarized():
    calls = []
    timing = time_call(lambda: calls.append(0), CPU, repeats=5, warm_up=2)
    assert len(calls) == 7
    assert 0 < timing.low <= timing.median <= timing.high <= timing.p95
    assert timing.memory_gib is None
    assert summarize([1.0, 2.0, 3.0], 9.0, None) == Timing(2.0, 1.5, 2.5, pytest.approx(2.9), 9.0, None)


def test_calls_take_turns():
    order = []
    first, second = time_calls([lambda: order.append("a"), lambda: order.append("b")], CPU, repeats=2, warm_up=1)
    assert order == ["a", "b"] * 3
    assert first.median > 0 and second.median > 0
