"""The live line and the line per epoch."""

import io
import re
from types import SimpleNamespace

import pytest
import rich
from lightning.pytorch import Callback
from rich.console import Console

from tc_clip_pl.training import progress
from tc_clip_pl.training.logged_scalars import SpeedMonitor
from tc_clip_pl.training.progress import (
    EpochSummary,
    LiveProgress,
    epoch_title,
    format_metric,
    format_seconds,
    format_speed,
)


@pytest.fixture
def screen(monkeypatch):
    """Return a function that replaces rich's console; the returned file holds what was written."""

    def replace(**options):
        console = Console(file=io.StringIO(), width=80, **options)
        monkeypatch.setattr("rich._console", console)
        return console.file

    rich.get_console()  # creates the one that monkeypatch restores
    return replace


def _fit(make_module, make_data, make_trainer, *callbacks, **options):
    trainer = make_trainer(*callbacks, **options)
    trainer.fit(make_module(), datamodule=make_data())
    return trainer


def test_piped_output_has_one_line_per_epoch(screen, make_module, make_data, make_trainer):
    file = screen()
    options = {"max_epochs": 4, "check_val_every_n_epoch": 2, "num_sanity_val_steps": 2}
    _fit(make_module, make_data, make_trainer, EpochSummary(), LiveProgress(), enable_progress_bar=True, **options)
    lines = file.getvalue().splitlines()
    assert [line[:9] for line in lines] == ["epoch 1/4", "epoch 2/4", "epoch 3/4", "epoch 4/4"]
    for line in lines:
        assert re.search(r"  loss [\d.]+  top-1 [\d.]+%  ", line)
        assert re.search(r"  [\d.]+ videos/s", line)
    assert ["left" in line for line in lines] == [True, True, True, False]
    assert ["val top-1" in line for line in lines] == [False, True, False, True]
    assert "\x1b" not in file.getvalue()
    assert all(len(line) <= 80 for line in lines)


def test_epochs_are_printed_with_the_bar_off(screen, make_module, make_data, make_trainer):
    file = screen()
    _fit(make_module, make_data, make_trainer, EpochSummary(), enable_progress_bar=False)
    assert file.getvalue().startswith("epoch 1/1  loss ")


def test_epoch_shows_its_own_metrics(screen, make_module, make_data, make_trainer):
    file = screen()
    trainer = _fit(make_module, make_data, make_trainer, EpochSummary(), max_epochs=2)
    metrics = trainer.callback_metrics
    last = file.getvalue().splitlines()[-1]
    assert f"loss {float(metrics['train/loss_epoch']):.3g}" in last
    assert f"val top-1 {100 * float(metrics['val/top1']):.1f}%" in last


def test_dumb_terminal_gets_no_escape_codes(screen, monkeypatch, make_module, make_data, make_trainer):
    monkeypatch.setenv("TERM", "dumb")
    file = screen(force_terminal=True)
    _fit(make_module, make_data, make_trainer, EpochSummary(), LiveProgress(), enable_progress_bar=True)
    assert "\x1b" not in file.getvalue()
    assert file.getvalue().count("\n") == 1


def test_live_line_fits_and_is_removed(screen, monkeypatch, make_module, make_data, make_trainer):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_READS", 0)
    file = screen(force_terminal=True)
    callbacks = (EpochSummary(), SpeedMonitor(), LiveProgress())
    _fit(make_module, make_data, make_trainer, *callbacks, enable_progress_bar=True, log_every_n_steps=1)
    written = file.getvalue()
    drawn = [re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]", written)]
    assert all(len(line) <= 80 for line in drawn)
    assert any(re.search(r"epoch 1/1 .* 3/3 .*loss [\d.]+ +[\d.]+ videos/s +wait \d+%", line) for line in drawn)
    assert any("validation" in line for line in drawn)
    assert written.rstrip().endswith("videos/s")  # the summary is last: no live line is left behind


def test_validation_alone_is_one_line(screen, make_module, make_data, make_trainer):
    file = screen()
    make_trainer(EpochSummary()).validate(make_module(), datamodule=make_data(), verbose=False)
    assert re.fullmatch(r"validation  loss [\d.]+  top-1 [\d.]+%\n", file.getvalue())


@pytest.mark.parametrize(("run", "title"), [("test", "test"), ("predict", "prediction")])
def test_evaluation_is_shown_live(screen, monkeypatch, make_module, make_data, make_trainer, run, title):
    monkeypatch.setenv("TERM", "xterm")
    file = screen(force_terminal=True)
    trainer = make_trainer(LiveProgress(), enable_progress_bar=True)
    getattr(trainer, run)(make_module(), datamodule=make_data())
    assert re.search(title + r".*3/3", file.getvalue())


def test_other_processes_draw_nothing(screen, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    file, bar = screen(force_terminal=True), LiveProgress()
    bar.disable()
    bar._start("epoch 1", 3)
    assert file.getvalue() == ""
    bar.enable()
    bar._start("epoch 1", float("inf"))
    bar._stop()
    assert "epoch 1" in file.getvalue() and file.getvalue().endswith("\x1b[2K")  # and erased


def test_numbers_are_short():
    assert format_metric("train/top1_epoch", 0.12345) == "12.3%"
    assert format_metric("val/loss", 12.3456) == "12.3"
    assert [format_speed(s) for s in (0.51, 99.5, 136.4)] == ["0.5 videos/s", "99.5 videos/s", "136 videos/s"]
    assert [format_seconds(s) for s in (0, 59.6, 75, 3675)] == ["0:00", "1:00", "1:15", "1:01:15"]


@pytest.mark.parametrize(("max_epochs", "title"), [(25, "epoch 3/25"), (-1, "epoch 3"), (None, "epoch 3")])
def test_epochs_are_counted_from_one(max_epochs, title):
    assert epoch_title(SimpleNamespace(current_epoch=2, max_epochs=max_epochs)) == title


def test_printed_lines_are_plain_on_a_terminal(screen, monkeypatch, make_module, make_data, make_trainer):
    monkeypatch.setenv("TERM", "xterm")
    file = screen(force_terminal=True)
    _fit(make_module, make_data, make_trainer, EpochSummary())
    assert file.getvalue().startswith("epoch 1/1  loss ") and "\x1b" not in file.getvalue()


class Speaker(Callback):
    """Notes what the screen shows when another callback speaks at the start of a test."""

    def __init__(self, file):
        self.file, self.seen = file, None

    def on_test_start(self, trainer, pl_module):
        self.seen = self.file.getvalue()


def test_line_of_a_test_comes_after_what_others_say_at_its_start(
    screen, monkeypatch, make_module, make_data, make_trainer
):
    monkeypatch.setenv("TERM", "xterm")
    file = screen(force_terminal=True)
    speaker = Speaker(file)
    trainer = make_trainer(LiveProgress(), speaker, enable_progress_bar=True)
    trainer.test(make_module(), datamodule=make_data(), verbose=False)
    assert speaker.seen == ""
    assert "test" in file.getvalue()


def test_metrics_are_read_from_the_device_twice_a_second_at_most(screen, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    screen(force_terminal=True)
    now, reads = [100.0], []

    class Watched:
        @property
        def callback_metrics(self):
            reads.append(now[0])
            return {"train/loss_step": 1.0}

    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    bar = LiveProgress()
    bar.on_train_batch_end(Watched())  # no line, nothing to read
    bar._start("epoch 1", 9)
    for _ in range(9):
        bar.on_train_batch_end(Watched())
        now[0] += 0.2
    bar._stop()
    assert reads == pytest.approx([100.0, 100.6, 101.2])
