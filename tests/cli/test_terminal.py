"""What a run prints: nothing before it is needed, no noise, and how to resume after Ctrl-C."""

import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from tc_clip_pl.cli.config_args import classes_to_data
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.library_logging import format_note
from tc_clip_pl.cli.run_folder_notes import resume_command
from tc_clip_pl.cli.startup import announced

COMMAND = [sys.executable, "-c", "import sys; from tc_clip_pl.cli import main; sys.exit(main())"]


def test_fit_prints_one_line_per_epoch_and_its_folder(run):
    code, out, err = run("fit", "--trainer.check_val_every_n_epoch", "1")
    assert code == 0
    lines = out.splitlines()
    assert lines.index("Output folder: outputs/demo/version_0") < next(
        n for n, line in enumerate(lines) if line.startswith("epoch 1/1  loss ") and "val top-1" in line
    )
    assert "\x1b" not in out + err
    for noise in ("Restor", "Loaded model", ".py:", "LeafSpec", "TPU", "Tip", "stopped"):
        assert noise not in out + err


def test_ctrl_c_while_importing_is_one_line(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "fit", "--config", "demo.yaml"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr.readline() == "Loading PyTorch and Lightning ...\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.strip() == "Interrupted."


def test_ctrl_c_in_training_prints_how_to_resume(demo, demo_config, tmp_path):
    places = ["--data.root", f"{demo}/data", "--model.pretrained", f"{demo}/tiny_clip", "--data.num_workers", "0"]
    argv = [*COMMAND, "fit", "--config", demo_config, *places, "--trainer.max_epochs", "1000"]
    process = subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not process.stdout.readline().startswith("epoch 2/"):
        assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "Interrupted. Resume with:\n  tcclip fit --config" in err
    assert err.rstrip().endswith("--ckpt_path outputs/demo/version_0/checkpoints/last.ckpt")


def test_resume_command_replaces_the_checkpoint():
    for form in (["--ckpt_path", "old.ckpt"], ["--ckpt_path=old.ckpt"]):
        command = resume_command(["fit", *form, "--method", "my model"], Path("last.ckpt"))
        assert command == "tcclip fit --method 'my model' --ckpt_path last.ckpt"


def test_other_processes_announce_nothing(monkeypatch, capsys):
    with announced("Loading ..."):
        pass
    assert capsys.readouterr().err == "Loading ...\n"
    monkeypatch.setenv("RANK", "1")
    with announced("Loading ..."):
        pass
    assert capsys.readouterr().err == ""


def test_warning_is_one_line_without_source():
    with warnings.catch_warnings():
        text = format_note(UserWarning("the first\n  second"), UserWarning, "/a/b.py", 321)
    assert text == "Note: the first second\n"


def test_classes_select_a_folder_of_loose_videos():
    options = ["--config", "a.yaml", "--data.root", "x", "--classes", "run, jump up"]
    data = ["--data", "datamodules.FolderDataModule", "--data.classes", '["run", "jump up"]']
    assert classes_to_data(options) == ["--config", "a.yaml", *data, "--data.root", "x"]
    assert classes_to_data(["--data.root", "x"]) == ["--data.root", "x"]
    with pytest.raises(UserError, match="--classes needs names"):
        classes_to_data(["--classes", " , "])


@pytest.mark.parametrize(("top", "columns"), [("1", 3), ("all", 21)])
def test_predict_writes_and_shows_the_best_classes(run, tmp_path, top, columns):
    unset = (
        "--model.config.num_context_tokens",
        "null",
        "--model.config.merges_per_round",
        "null",
    )  # of tests/demo.yaml
    code, out, _ = run("predict", "--config", "models/clip.yaml", *unset, "--top", top)
    assert code == 0
    header = next(tmp_path.rglob("predictions.csv")).read_text().splitlines()[0]
    assert len(header.split(",")) == columns
    assert "probability" in out


def test_loose_videos_are_predicted_with_given_classes(alone, last, demo, tmp_path):
    (tmp_path / "loose").mkdir()
    for video in sorted((demo / "data").rglob("*.mp4"))[:3]:
        (tmp_path / "loose" / video.name).symlink_to(video)
    loose = ("--data.root", tmp_path / "loose", "--classes", "red circle, blue triangle", "--data.num_workers", 0)
    code, out, err = alone("predict", last, *loose)
    assert code == 0, err
    rows = (tmp_path / "outputs/demo/version_0/predictions.csv").read_text().splitlines()
    assert len(rows) == 1 + 3
    assert all("red circle" in row and "blue triangle" in row for row in rows[1:])
    assert "probability" in out
