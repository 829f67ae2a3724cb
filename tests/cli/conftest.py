"""A smaller demo: real video files of ten classes, and a tiny CLIP."""

import sys

import lightning.pytorch  # noqa: F401 (its log handler keeps the stderr it was imported with: not that of a single test)
import pytest

from datamodules.synthetic.actions import DEMO
from datamodules.synthetic.write_dataset import write_synthetic_dataset
from tc_clip_pl.checkpoints.tiny_clip import save_tiny_clip
from tc_clip_pl.cli import main

SHORT = ("--trainer.limit_train_batches", 1, "--trainer.limit_val_batches", 0, "--trainer.limit_test_batches", 1)
"""Of a run whose results nothing reads."""
TRAINED = {"seed_selection": "head_wise_key_norm", "num_context_tokens": 4, "seed_ratio": 0.6}


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    write_synthetic_dataset(folder / "data", DEMO, unseen=(), train_films=4, test_films=2)
    save_tiny_clip(folder / "tiny_clip", [action.name for action in DEMO])
    return folder


@pytest.fixture
def run(demo, demo_config, tmp_path, monkeypatch, capsys):
    """Run `tcclip ARGV` in an empty directory, on the small demo; return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))  # main adds the current directory

    def run(*argv, on_demo=True):
        places = ["--data.root", f"{demo}/data", "--model.pretrained", f"{demo}/tiny_clip", "--data.num_workers", "0"]
        quick = ["--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--pictures", "false"]
        quick += ["--trainer.enable_progress_bar", "false"]
        argv = [*argv[:1], "--config", demo_config, *places, *quick, *argv[1:]] if on_demo else argv
        code = main([str(argument) for argument in argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def trained(demo, demo_config, tmp_path_factory):
    """Return the folder of a run whose model, shots and seed differ from those of `tests/demo.yaml`."""
    folder = tmp_path_factory.mktemp("trained")
    argv = ["--data.root", f"{demo}/data", "--model.pretrained", f"{demo}/tiny_clip", "--data.num_workers", "0"]
    argv += [f"--model.config.{name}={value}" for name, value in TRAINED.items()]
    argv += ["--data.num_shots", "2", "--seed_everything", "5", "--method", "Mine", "--pictures", "false"]
    argv += ["--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1", "--trainer.accelerator", "cpu"]
    assert main(["fit", *argv, "--config", demo_config, "--output_dir", str(folder)]) == 0
    return folder / "demo" / "version_0"


@pytest.fixture
def last(trained):
    return trained / "checkpoints" / "last.ckpt"


@pytest.fixture
def alone(run, tmp_path):
    """Run a subcommand with the checkpoint alone, in an empty directory."""

    def alone(subcommand, ckpt_path, *options):
        quiet = ("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false")
        if subcommand == "test":
            quiet += ("--pictures", "false")
        return run(subcommand, "--ckpt_path", ckpt_path, *quiet, *options, on_demo=False)

    return alone


def sentence(result):
    code, out, err = result
    assert code == 1, out + err
    assert "Traceback" not in out + err
    (line,) = [line for line in err.splitlines() if line.startswith("tcclip: ")]
    return line
