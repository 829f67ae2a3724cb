"""A process that fails or is terminated alone ends the others too, and says why."""

import json
import subprocess

import pytest

from tc_clip_pl.cli import main

from .conftest import DDP


@pytest.mark.slow
def test_one_process_that_fails_ends_the_other_and_names_the_clip(run_two, cut_clips, tmp_path):
    done = run_two("fit", tmp_path, DDP, "--data.on_bad_video", "raise", "--check_clips", "false")
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("tcclip (process 1): ")]
    assert len(said) == 1 and any(clip in said[0] for clip in cut_clips)
    assert "Traceback" not in done.stderr


def test_clips_are_checked_once_and_before_the_other_process_starts(
    arguments, cut_clips, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("another process has started"))
    options = ("--data.on_bad_video", "raise", "--trainer.devices", "2", "--trainer.strategy", DDP)
    assert main(["fit", *arguments, "--output_dir", str(tmp_path), *options]) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("tcclip")]
    assert len(said) == 1 and said[0].startswith("tcclip: 3 of the 37 clips cannot be read")
    assert all(clip in said[0] for clip in cut_clips)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_sigterm_to_the_first_process_ends_both_as_ctrl_c_does(run_two, cut_clips, tmp_path):
    terminate = json.dumps({"class_path": "terminate.Terminate", "init_args": {"rank": 0}})
    done = run_two("fit", tmp_path, DDP, "--trainer.callbacks+", terminate)
    assert done.returncode == 130
    assert done.stderr.count("Interrupted. ") == 1 and "Traceback" not in done.stderr


@pytest.mark.slow
def test_sigterm_to_the_second_process_ends_the_first(run_two, cut_clips, tmp_path):
    terminate = json.dumps({"class_path": "terminate.Terminate", "init_args": {"rank": 1}})
    done = run_two("fit", tmp_path, DDP, "--trainer.callbacks+", terminate)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "tcclip (process 1): Ended by SIGTERM.\n" in done.stderr
