"""The learning rate of every step against the formulas, and against the numbers of the published runs."""

import doctest
import io
import math
from itertools import pairwise

import pytest
import torch
from torch.optim import AdamW

from tc_clip_pl.training import schedule as schedules
from tc_clip_pl.training.schedule import (
    FlooredSchedule,
    ReleasedSchedule,
    TextbookSchedule,
    floored_rate,
    released_rate,
    textbook_rate,
)

RATES = [released_rate, textbook_rate]
SCHEDULES = {ReleasedSchedule: released_rate, TextbookSchedule: textbook_rate}
PEAKS = (8e-6, 8e-5)  # of the backbone and of the prompting


def _optimizer():
    return AdamW([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": peak} for peak in PEAKS])


def _rates_of_every_step(scheduler, num_steps):
    rates = []
    for _ in range(num_steps):
        rates.append([group["lr"] for group in scheduler.optimizer.param_groups])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


def test_examples_run():
    result = doctest.testmod(schedules)
    assert result.attempted == 3 and result.failed == 0


@pytest.mark.parametrize("peak", PEAKS)
def test_released_cosine_is_not_shifted_by_the_warmup(peak):
    final, warmup, total = 8e-8, 50, 100
    for s in range(total + 1):
        expected = peak * s / warmup if s < warmup else final + (peak - final) / 2 * (1 + math.cos(math.pi * s / total))
        assert released_rate(s, peak, final, warmup, total) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("peak", PEAKS)
def test_textbook_cosine_starts_at_the_end_of_the_warmup(peak):
    final, warmup, total = 8e-8, 10, 100
    for s in range(total + 1):
        cosine = final + (peak - final) / 2 * (1 + math.cos(math.pi * (s - warmup) / (total - warmup)))
        expected = peak * s / warmup if s < warmup else cosine
        assert textbook_rate(s, peak, final, warmup, total) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("peak", "final", "warmup", "total", "after_warmup"),
    [
        pytest.param(8e-6, 8e-8, 500, 1000, 4.04e-6, id="zero-shot, 5 of 10 epochs"),
        pytest.param(2e-6, 2e-8, 50, 500, 1.95e-6, id="few-shot, 5 of 50 epochs"),
    ],
)
def test_released_rate_drops_where_the_warmup_ends(peak, final, warmup, total, after_warmup):
    before, after = (released_rate(s, peak, final, warmup, total) for s in (warmup - 1, warmup))
    assert before == pytest.approx(peak * (1 - 1 / warmup))
    assert float(f"{after:.2e}") == after_warmup
    assert textbook_rate(warmup, peak, final, warmup, total) == peak


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("warmup", "total"), [(0, 4), (1, 4), (3, 4), (4, 4), (8, 4)])
def test_rates_at_the_edges(rate, warmup, total):
    rates = [rate(s, 1.0, 0.1, warmup, total) for s in range(total + 3)]
    assert all(0 <= value <= 1 for value in rates)
    assert rates[0] == (0.0 if warmup else 1.0)
    if warmup < total:
        assert rates[total:] == pytest.approx([0.1] * 3)  # and not up again behind the end
    assert all(a > b for a, b in pairwise(rates[warmup : total + 1]))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_step_of_both_groups_follows_the_formula_to_the_same_final_rate(schedule):
    scheduler = schedule(_optimizer(), total_steps=40, steps_per_epoch=4, warmup_epochs=2.5, final_lr=8e-8)
    rates = _rates_of_every_step(scheduler, 41)
    assert rates == [[SCHEDULES[schedule](s, peak, 8e-8, 10, 40) for peak in PEAKS] for s in range(41)]
    assert rates[-1] == [8e-8, 8e-8]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_restored_schedule_continues_the_curve(schedule):
    lengths = {"total_steps": 20, "steps_per_epoch": 2, "warmup_epochs": 3, "final_lr": 8e-8}
    whole = _rates_of_every_step(schedule(_optimizer(), **lengths), 20)
    first = schedule(_optimizer(), **lengths)
    _rates_of_every_step(first, 8)
    file = io.BytesIO()
    torch.save({"scheduler": first.state_dict(), "optimizer": first.optimizer.state_dict()}, file)
    saved = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    second = schedule(_optimizer(), **lengths)
    second.optimizer.load_state_dict(saved["optimizer"])
    second.load_state_dict(saved["scheduler"])
    assert _rates_of_every_step(second, 12) == whole[8:]


def test_restored_schedule_takes_the_length_of_the_new_run():
    short = ReleasedSchedule(_optimizer(), total_steps=10, steps_per_epoch=2, warmup_epochs=1)
    _rates_of_every_step(short, 10)
    longer = ReleasedSchedule(_optimizer(), total_steps=20, steps_per_epoch=2, warmup_epochs=1)
    longer.load_state_dict(short.state_dict())
    longer.step()
    assert longer.get_last_lr()[0] == released_rate(11, PEAKS[0], 2e-8, 2, 20)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"warmup_epochs": -0.5}, "warmup_epochs is -0.5; it must be at least 0"),
        ({"warmup_epochs": math.inf}, "warmup_epochs is inf"),
        ({"final_lr": -1e-9}, "final_lr is -1e-09; it must be at least 0 and at most the peak rate 8e-06"),
        ({"final_lr": 9e-6}, "final_lr is 9e-06"),
    ],
)
def test_senseless_lengths_and_rates_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ReleasedSchedule(_optimizer(), total_steps=10, steps_per_epoch=2, **settings)


@pytest.mark.parametrize(("warmup_epochs", "steps"), [(0, 0), (0.5, 1), (2, 4)])
def test_warmup_is_counted_in_epochs(warmup_epochs, steps):
    settings = {"warmup_epochs": warmup_epochs, "final_lr": PEAKS[0]}
    assert ReleasedSchedule(_optimizer(), total_steps=10, steps_per_epoch=2, **settings).warmup_steps == steps


def test_warmup_over_the_whole_training_is_reported():
    with pytest.warns(UserWarning, match="warm-up of 5 epochs takes the whole training"):
        ReleasedSchedule(_optimizer(), total_steps=10, steps_per_epoch=2)


def test_module_schedules_optimizer_steps_not_batches(make_module, make_data, make_trainer):
    # 12 clips in 3 batches, 2 accumulated: 2 optimizer steps an epoch, 4 in all; one epoch of warm-up.
    module = make_module(learning_rate=8e-6, warmup_epochs=1)
    trainer = make_trainer(max_epochs=2, accumulate_grad_batches=2, limit_val_batches=0)
    rates = []
    module.on_before_zero_grad = lambda optimizer: rates.append([group["lr"] for group in optimizer.param_groups])
    trainer.fit(module, datamodule=make_data())
    expected = [[released_rate(s, peak, 2e-8, 2, 4) for peak in PEAKS] for s in range(4)]
    assert [rate for i, rate in enumerate(rates) if rate not in rates[:i]] == [pytest.approx(r) for r in expected]


def test_floored_warmup_climbs_from_the_final_rate_and_meets_the_textbook_cosine():
    peak, final, warmup, total = 3.33e-6, 3.33e-8, 20, 220
    schedule = FlooredSchedule(_optimizer_of(peak), total, steps_per_epoch=10, warmup_epochs=2, final_lr=final)
    rates = [rate for (rate,) in _rates_of_every_step(schedule, total + 1)]
    climb = [final + (peak - final) * s / warmup for s in range(warmup)]
    assert rates[:warmup] == pytest.approx(climb)
    assert rates[warmup:] == pytest.approx([textbook_rate(s, peak, final, warmup, total) for s in range(20, 221)])
    assert rates[0] == floored_rate(0, peak, final, warmup, total) == final == rates[-1]


def _optimizer_of(peak):
    return AdamW([torch.nn.Parameter(torch.zeros(1))], lr=peak)
