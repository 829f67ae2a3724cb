"""A run that was interrupted goes on from its last checkpoint when the sweep is repeated."""

import os
from pathlib import Path

import pytest

from tc_clip_pl.cli.sweep.command import sweep

SWEEP = ["--config", "base_to_novel_hmdb", "--sweep", "data.split=[1]"]
FOLDER = "outputs/base_to_novel_hmdb_split/base_to_novel_hmdb,split=1"


def option(argv, name):
    return argv[argv.index(name) + 1] if name in argv else None


@pytest.fixture
def launch(tmp_path, monkeypatch):
    """Stands in for the process of a run, interrupted after an epoch; keeps what each was told to resume."""
    monkeypatch.chdir(tmp_path)

    def launch(argv, log):
        launch.resumed.append(option(argv, "--ckpt_path"))
        number = len(launch.resumed)
        last = Path(option(argv, "--output_dir")) / f"base_to_novel_hmdb/version_{number}/checkpoints/last.ckpt"
        last.parent.mkdir(parents=True)
        last.touch()
        os.utime(last, (number, number))
        return 130

    launch.resumed = []
    return launch


def checkpoint(number):
    return f"{FOLDER}/base_to_novel_hmdb/version_{number}/checkpoints/last.ckpt"


def test_goes_on_from_the_newest_checkpoint(launch, capsys):
    for _ in range(3):
        assert sweep(SWEEP, launch) == 1
    assert launch.resumed == [None, checkpoint(1), checkpoint(2)]
    assert capsys.readouterr().out.count("split=1, resumed ... ") == 2
    sweep([*SWEEP, "--dry_run"])
    assert f"--ckpt_path {checkpoint(3)}" in capsys.readouterr().out


def test_checkpoint_of_other_options_is_not_resumed(launch):
    sweep(SWEEP, launch)
    sweep([*SWEEP, "--model.optimizer.lr", "3e-6"], launch)
    assert launch.resumed == [None, None]


def test_checkpoint_that_the_options_name_comes_first(launch):
    for _ in range(2):
        sweep([*SWEEP, "--ckpt_path", "own.ckpt"], launch)
    assert launch.resumed == ["own.ckpt", "own.ckpt"]
