"""A process that fails alone says why, and the others end too."""

import subprocess

import pytest

from tc_clip_pl.cli import main

from .conftest import DDP


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
