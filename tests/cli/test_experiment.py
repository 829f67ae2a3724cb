"""Training, testing, predicting and resuming from the command line."""

import csv
import json
import re

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tc_clip_pl.cli.trainer_settings import choose_precision
from tc_clip_pl.training import load_model

from .conftest import SHORT


@pytest.fixture(scope="module")
def fitted(demo, demo_config, tmp_path_factory):
    """Return the output folder of one `tcclip fit`."""
    from tc_clip_pl.cli import main

    folder = tmp_path_factory.mktemp("fitted")
    argv = ["--data.root", f"{demo}/data", "--model.pretrained", f"{demo}/tiny_clip", "--data.num_workers", "0"]
    argv += ["--trainer.max_epochs", "2", "--trainer.check_val_every_n_epoch", "1", "--trainer.accelerator", "cpu"]
    assert main(["fit", *argv, "--config", demo_config, "--output_dir", str(folder)]) == 0
    return folder / "demo" / "version_0"


def test_fit_leaves_checkpoints_config_results_and_pictures(fitted):
    files = {path.relative_to(fitted).as_posix() for path in fitted.rglob("*") if "tfevents" not in path.name}
    assert {
        "checkpoints/best.ckpt", "checkpoints/last.ckpt", "config.yaml", "results.json",
        "confusion_hmdb51_split1_w1.png", "confusion_hmdb51_split1_w0.7.png",
    } <= files  # fmt: skip
    results = json.loads((fitted / "results.json").read_text())
    assert [run["ensemble_weight"] for run in results["runs"]] == [1.0, 0.7]
    assert all(run["test_sets"]["hmdb51/split1"]["num_clips"] == 20 for run in results["runs"])
    assert results["data"]["splits"]["hmdb51/split1"]["sha256"]
    assert results["machine"]["precision"] == "32-true"


def test_pictures_of_validations_and_tests_can_be_switched_off(fitted, trained):
    drawn, without = EventAccumulator(str(fitted)), EventAccumulator(str(trained))
    drawn.Reload(), without.Reload()
    assert "val/confusion_matrix" in drawn.Tags()["images"] and without.Tags()["images"] == []
    assert "val/top1" in without.Tags()["scalars"] and not list(trained.glob("*.png"))


def test_data_sets_the_number_of_frames_and_the_model_their_size(fitted):
    config = yaml.safe_load((fitted / "config.yaml").read_text())
    assert config["model"]["config"]["num_frames"] == 8
    assert config["data"]["init_args"]["image_size"] == 48
    assert load_model(fitted / "checkpoints" / "last.ckpt").config.num_frames == 8


def test_best_checkpoint_holds_only_weights(fitted):
    assert "optimizer_states" not in torch.load(fitted / "checkpoints" / "best.ckpt")
    assert "optimizer_states" in torch.load(fitted / "checkpoints" / "last.ckpt")


def test_test_repeats_the_metrics_of_fit_in_a_new_folder(fitted, run, tmp_path):
    code, out, _ = run("test", "--ckpt_path", fitted / "checkpoints" / "last.ckpt")
    assert code == 0
    assert "fine-tuned" in out and "w=0.7" in out
    again = json.loads((tmp_path / "outputs/demo/version_0/results.json").read_text())
    assert again["runs"] == json.loads((fitted / "results.json").read_text())["runs"]


def test_a_second_run_gets_its_own_folder(run, tmp_path):
    unset = (
        "--model.config.num_context_tokens",
        "null",
        "--model.config.merges_per_round",
        "null",
    )  # of tests/demo.yaml
    for _ in range(2):
        assert run("test", "--config", "models/clip.yaml", *unset)[0] == 0
    assert sorted(path.name for path in (tmp_path / "outputs/demo").iterdir()) == ["version_0", "version_1"]
    results = json.loads((tmp_path / "outputs/demo/version_1/results.json").read_text())
    assert results["checkpoint"] is None
    assert [run["ensemble_weight"] for run in results["runs"]] == [0.0]
    assert results["training"] == {}


def test_predict_writes_the_top_classes_of_every_clip(fitted, run, tmp_path):
    assert run("predict", "--ckpt_path", fitted / "checkpoints" / "last.ckpt")[0] == 0
    rows = list(csv.DictReader((tmp_path / "outputs/demo/version_0/predictions.csv").open()))
    assert len(rows) == 20
    assert all(1 >= float(r["probability1"]) >= float(r["probability2"]) >= float(r["probability3"]) for r in rows)


def test_validate(fitted, run):
    code, out, _ = run("validate", "--ckpt_path", fitted / "checkpoints" / "best.ckpt")
    assert code == 0
    assert re.search(r"^validation  loss \S+  top-1 \S+%$", out, re.M)


def test_resumed_fit_ends_with_the_same_weights(run, tmp_path):
    constant = ("--model.lr_scheduler", "null", "--ensembling.weights", 1)
    options = (*constant, "--trainer.limit_test_batches", 1)
    whole, first = "outputs/demo/version_0/checkpoints/last.ckpt", "outputs/demo/version_1/checkpoints/last.ckpt"
    assert run("fit", *options, "--trainer.max_epochs", 2)[0] == 0
    assert run("fit", *options, "--trainer.max_epochs", 1)[0] == 0
    assert run("fit", *options, "--trainer.max_epochs", 2, "--ckpt_path", first)[0] == 0
    whole, resumed = load_model(whole), load_model("outputs/demo/version_2/checkpoints/last.ckpt")
    assert (tmp_path / first).is_file()
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    before = load_model(first).state_dict()
    assert any(not torch.equal(before[name], value) for name, value in whole.state_dict().items())


def test_callbacks_are_dropped_with_the_trainers_flags(run, tmp_path):
    off = ("--trainer.enable_checkpointing", "false", "--trainer.logger", "false", "--trainer.enable_progress_bar")
    assert run("fit", *SHORT, *off, "false", "--trainer.default_root_dir", "here", "--ensembling.weights", 1)[0] == 0
    assert json.loads((tmp_path / "here/results.json").read_text())["checkpoint"] is None
    assert not list(tmp_path.rglob("*.ckpt")) and not list(tmp_path.rglob("*tfevents*"))


def test_optimizer_and_callbacks_from_the_command_line(run, tmp_path):
    optimizer = ("--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", "1e-5")
    added = ("--trainer.callbacks+", "lightning.pytorch.callbacks.ModelSummary")
    options = (*SHORT, *optimizer, *added, "--model.lr_scheduler", "TextbookSchedule", "--ensembling.weights", 1)
    assert run("fit", *options)[0] == 0
    config = yaml.safe_load((tmp_path / "outputs/demo/version_0/config.yaml").read_text())
    assert config["model"]["lr_scheduler"]["class_path"] == "tc_clip_pl.training.schedule.TextbookSchedule"
    names = [entry["class_path"].rpartition(".")[2] for entry in config["trainer"]["callbacks"]]
    assert names.count("ModelCheckpoint") == names.count("BestCheckpoint") == 1 and names[-1] == "ModelSummary"
    (saved,) = torch.load(tmp_path / "outputs/demo/version_0/checkpoints/last.ckpt")["optimizer_states"]
    assert [group["initial_lr"] for group in saved["param_groups"]] == pytest.approx([1e-5, 1e-4])
    assert "momentum" in saved["param_groups"][0]


def test_saved_configuration_can_be_run_again(fitted, run):
    options = ("--ckpt_path", fitted / "checkpoints" / "last.ckpt", "--ensembling.weights", 1)
    code, _, err = run("test", "--config", fitted / "config.yaml", *options)
    assert code == 0, err


def test_precision_without_a_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_precision("auto") == "32-true"


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16-mixed"), (False, "16-mixed")])
def test_precision_with_a_gpu(monkeypatch, has_bf16, expected):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: has_bf16)
    assert choose_precision("auto") == expected
    assert choose_precision("cpu") == "32-true"
