"""A smaller demo: real video files of eight classes, and a tiny CLIP."""

import sys

import lightning.pytorch  # noqa: F401 (its log handler keeps the stderr it was imported with: not that of a single test)
import pytest

from datamodules.synthetic.actions import DEMO
from datamodules.synthetic.write_dataset import write_synthetic_dataset
from tc_clip_pl.checkpoints.tiny_clip import save_tiny_clip
from tc_clip_pl.cli import main


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    write_synthetic_dataset(folder / "data", DEMO, unseen=(), train_films=4, test_films=2)
    save_tiny_clip(folder / "tiny_clip", [action.name for action in DEMO])
    return folder


@pytest.fixture
def run(demo, tmp_path, monkeypatch, capsys):
    """Run `tcclip ARGV` in an empty directory, on the small demo; return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))  # main adds the current directory

    def run(*argv, on_demo=True):
        places = ["--data.root", f"{demo}/data", "--model.pretrained", f"{demo}/tiny_clip", "--data.num_workers", "0"]
        quick = ["--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
        argv = [*argv[:1], "--config", "demo.yaml", *places, *quick, *argv[1:]] if on_demo else argv
        code = main([str(argument) for argument in argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
