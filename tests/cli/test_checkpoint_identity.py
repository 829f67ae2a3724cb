"""A checkpoint is tested as the model that was trained, and reports say how it was trained."""

import csv
import json
import shutil

import pytest
import torch
import yaml

from datamodules.synthetic.actions import DEMO
from tc_clip_pl.checkpoints.tiny_clip import save_tiny_clip

from .conftest import SHORT, TRAINED, sentence

PLAIN = ("--model.config.num_context_tokens", "null", "--model.config.merges_per_round", "null")  # of tests/demo.yaml


@pytest.fixture
def other_clip(tmp_path):
    """Return a CLIP of the same shape with other weights."""
    return save_tiny_clip(tmp_path / "other_clip", [action.name for action in DEMO], seed=1)


def read_results(folder):
    return json.loads((folder / "results.json").read_text())


# The model


def test_checkpoint_alone_is_tested_as_it_was_trained(trained, last, alone, tmp_path):
    code, _, err = alone("test", last)
    assert code == 0, err
    before, again = read_results(trained), read_results(tmp_path / "outputs/demo/version_0")
    assert again["runs"] == before["runs"]
    assert {name: again["config"]["model"]["config"][name] for name in TRAINED} == TRAINED
    assert again["config"]["method"] == "Mine"
    assert again["config"]["model"] == before["config"]["model"]


def test_configuration_without_a_model_takes_that_of_the_checkpoint(trained, last, demo, run, tmp_path, caplog):
    data = {"class_path": "datamodules.HMDB51DataModule", "init_args": {"root": f"{demo}/data", "num_workers": 0}}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"data": data}))
    code, _, err = run("test", "--config", "data.yaml", "--ckpt_path", last, on_demo=False)
    assert code == 0, err
    assert "data.num_frames=8" in caplog.text
    results = read_results(tmp_path / "outputs/data/version_0")
    assert results["config"]["model"]["config"]["num_context_tokens"] == 4
    assert results["runs"] == read_results(trained)["runs"]


@pytest.mark.parametrize("subcommand", ["test", "validate", "predict", "fit"])
def test_setting_that_contradicts_names_both_values(last, run, subcommand):
    line = sentence(run(subcommand, "--ckpt_path", last))
    assert "model.config.num_context_tokens is 16" in line
    assert "was trained with 4" in line


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--model.config.seed_ratio", "0.3", "seed_ratio is 0.3"),  # the default of the paper, but given
        ("--data.num_frames", "4", "data.num_frames is 4"),
        ("--data.mean", "[1, 2, 3]", "data.mean is [1.0, 2.0, 3.0]"),
    ],
)
def test_option_that_contradicts(last, alone, option, value, expected):
    assert expected in sentence(alone("test", last, option, value))


def test_build_module_refuses_to_change_a_checkpoint(last):
    from tc_clip_pl.training.build import ModelOptions, build_module

    assert build_module(str(last), ModelOptions(num_context_tokens=4)).model.config.seed_ratio == 0.6
    with pytest.raises(ValueError, match=r"num_context_tokens is 8, but .* was trained with 4"):
        build_module(str(last), ModelOptions(num_context_tokens=8))


# CLIP


@pytest.mark.parametrize("subcommand", ["test", "predict", "validate"])
def test_another_clip_of_the_same_shape_is_refused(last, alone, other_clip, demo, subcommand):
    line = sentence(alone(subcommand, last, "--model.pretrained", other_clip))
    assert str(other_clip) in line and f"{demo}/tiny_clip" in line


def test_a_copy_of_the_same_clip_is_accepted(trained, last, alone, demo, tmp_path):
    shutil.copytree(demo / "tiny_clip", tmp_path / "copy")
    assert alone("test", last, "--model.pretrained", tmp_path / "copy")[0] == 0
    results = read_results(tmp_path / "outputs/demo/version_0")
    assert results["runs"] == read_results(trained)["runs"]
    assert results["clip"] == {"name": f"{tmp_path}/copy", "sha256": read_results(trained)["clip"]["sha256"]}


def test_clip_whose_folder_holds_another_one_is_refused(run, alone, demo, other_clip, tmp_path):
    shutil.copytree(demo / "tiny_clip", tmp_path / "clip")
    assert run("fit", *SHORT, "--model.pretrained", tmp_path / "clip", "--ensembling.weights", 1)[0] == 0
    shutil.rmtree(tmp_path / "clip")
    shutil.copytree(other_clip, tmp_path / "clip")
    ckpt_path = "outputs/demo/version_0/checkpoints/last.ckpt"
    assert "holds another CLIP" in sentence(alone("test", ckpt_path, "--ensembling.weights", "0.7"))
    assert alone("test", ckpt_path, "--ensembling.weights", 1)[0] == 0  # nothing reads CLIP here


def test_missing_clip_is_noticed_before_the_training(run, demo, tmp_path):
    shutil.copytree(demo / "tiny_clip", tmp_path / "clip")
    assert run("fit", *SHORT, "--model.pretrained", tmp_path / "clip")[0] == 0
    shutil.rmtree(tmp_path / "clip")
    ckpt_path = "outputs/demo/version_0/checkpoints/last.ckpt"
    again = ("fit", "--ckpt_path", ckpt_path, "--model.pretrained", "openai/clip-vit-base-patch16")
    line = sentence(run(*again, "--trainer.max_epochs", 2))
    assert f"{tmp_path}/clip" in line
    assert not (tmp_path / "outputs/demo/version_1").exists()


@pytest.fixture
def without_clip(last, tmp_path):
    """The checkpoint of a run whose CLIP came from a folder that is gone."""
    checkpoint = torch.load(last)
    checkpoint["tc_clip"]["config"]["clip_name_or_path"] = f"{tmp_path}/gone"
    torch.save(checkpoint, tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


@pytest.mark.parametrize("options", [(), ("--ensembling.sequential", "true")])
def test_missing_clip_is_noticed_before_a_test(without_clip, alone, tmp_path, options):
    line = sentence(alone("test", without_clip, *options))
    assert line.startswith("tcclip: Weights below 1 (0.7) need the CLIP of the training, but ")
    assert f"'{tmp_path}/gone'" in line and line.endswith("give --ensembling.weights [1.0] to test without it.")
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize("weights", ["1", "[1.0]"])
def test_fine_tuned_weights_alone_need_no_clip(trained, without_clip, alone, tmp_path, monkeypatch, weights):
    def reach_hub(*_):
        raise AssertionError("the hub is asked")

    monkeypatch.setattr("tc_clip_pl.modules.loading._asks_the_hub", reach_hub)
    code, _, err = alone("test", without_clip, "--ensembling.weights", weights)
    assert code == 0, err
    assert read_results(tmp_path / "outputs/demo/version_0")["runs"] == read_results(trained)["runs"][:1]


# The training, as reports have it


def test_reports_say_how_the_checkpoint_was_trained(trained, last, alone, tmp_path):
    assert alone("test", last, "--seed_everything", "7", "--data.num_shots", "4")[0] == 0
    for folder in (trained, tmp_path / "outputs/demo/version_0"):
        results = read_results(folder)
        training = results["training"]
        assert (training["seed"], training["num_shots"], training["max_epochs"]) == (5, 2, 2)
        assert training["lr_scheduler"]["class_path"].endswith("ReleasedSchedule")
        assert training["optimizer"]["init_args"]["lr"] == 1e-3
        assert training["num_classes"] == len(DEMO)
        assert results["seed"] == 5
        checkpoint = results["checkpoint"]
        assert (checkpoint["epoch"], checkpoint["global_step"], checkpoint["selection"]) == (1, 2, "last")
        assert len(results["clip"]["sha256"]) == 64
    assert results["command"][:4] == ["tcclip", "test", "--ckpt_path", str(last)]
    assert read_results(trained)["command"][:2] == ["tcclip", "fit"]


def test_weights_in_memory_are_tested_without_checkpoints(run, tmp_path, caplog):
    code, _, _ = run("fit", *SHORT, "--trainer.enable_checkpointing", "false", "--ensembling.weights", 1)
    assert code == 0
    assert "weights in memory" in caplog.text
    results = read_results(tmp_path / "outputs/demo/version_0")
    assert results["checkpoint"] is None
    assert results["training"]["max_epochs"] == 1


# Checkpoints that cannot serve


def test_resuming_from_weights_alone(trained, run):
    line = sentence(run("fit", "--ckpt_path", trained / "checkpoints" / "best.ckpt"))
    assert "holds only weights" in line and "last.ckpt" in line


def test_checkpoint_of_an_earlier_version_says_what_is_missing(last, run, alone, tmp_path, caplog):
    checkpoint = torch.load(last)
    del checkpoint["tc_clip"]["run"], checkpoint["tc_clip"]["class_names"]
    del checkpoint["tc_clip"]["config"]["clip_sha256"]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    line = sentence(alone("test", "old.ckpt"))
    assert "does not record its CLIP's hash or its class names or the configuration of its run" in line
    assert "--config" in line
    options = [f"--model.config.{name}={value}" for name, value in TRAINED.items()]
    code, _, err = run("test", "--ckpt_path", "old.ckpt", *options)
    assert code == 0, err
    assert "does not record its CLIP's hash" in caplog.text


# Without a checkpoint


@pytest.mark.parametrize("subcommand", ["test", "predict", "validate"])
def test_untrained_parameters_are_not_scored(run, subcommand):
    line = sentence(run(subcommand))
    assert "--ckpt_path" in line and "not trained" in line


def test_plain_clip_is_scored_under_its_own_name(run, tmp_path, caplog):
    code, out, err = run("test", "--config", "models/clip.yaml", *PLAIN)
    assert code == 0, err
    assert "fine-tuned" not in out and "CLIP, w=0" in out
    assert "plain CLIP" in caplog.text
    assert [run["ensemble_weight"] for run in read_results(tmp_path / "outputs/demo/version_0")["runs"]] == [0.0]


def test_predictions_use_the_ensemble_weight(last, alone, tmp_path):
    def predict(number, weight):
        assert alone("predict", last, "--ensembling.weights", weight)[0] == 0
        return list(csv.DictReader((tmp_path / f"outputs/demo/version_{number}/predictions.csv").open()))

    fine_tuned, ensembled, again = predict(0, 1), predict(1, 0.5), predict(2, 1)
    assert fine_tuned == again
    assert ensembled != fine_tuned


@pytest.mark.parametrize(
    ("option", "value"),
    [("--trainer.max_epochs", "0"), ("--trainer.limit_train_batches", "0"), ("--trainer.max_steps", "0")],
)
def test_nothing_to_train(run, tmp_path, option, value):
    assert f"{option[2:]} is 0" in sentence(run("fit", option, value))
    assert not (tmp_path / "outputs").exists()
