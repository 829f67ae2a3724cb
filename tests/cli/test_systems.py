"""Compared systems from the command line: trained and tested, and tested again from the checkpoint alone."""

import json

import pytest

from tc_clip_pl.modules.loading import load_tokenizer
from tests.baselines.test_xclip_library import save_library

from .conftest import SHORT, sentence

WITHOUT_CONTEXT = ["--model.config.num_context_tokens=null", "--model.config.merges_per_round=null"]
WEIGHTS = {"xclip": [1.0], "actionclip": [1.0, 0.7]}


@pytest.mark.parametrize("system", ["xclip", pytest.param("actionclip", marks=pytest.mark.slow)])
def test_system_trains_and_is_tested_again_from_its_checkpoint(run, alone, tmp_path, system):
    overlay = ["--config", f"models/{system}.yaml", *WITHOUT_CONTEXT, "--data.batch_size", "16"]
    code, _, err = run("fit", *overlay)
    assert code == 0, err
    folder = tmp_path / "outputs" / "demo" / "version_0"
    last = folder / "checkpoints" / "last.ckpt"
    first = json.loads((folder / "results.json").read_text())["runs"]
    assert [entry["ensemble_weight"] for entry in first] == WEIGHTS[system]
    code, _, err = alone("test", last)
    assert code == 0, err
    again = json.loads((tmp_path / "outputs" / "demo" / "version_1" / "results.json").read_text())["runs"]
    assert again == first
    code, _, err = run("test", "--ckpt_path", last)  # whose configuration names no system
    assert code == 0, err
    for argv, expected in (((), "tc_clip"), (("--config", "models/a5.yaml"), "a5")):
        refused = sentence(run("fit", *argv, "--model.pretrained", last))
        assert f"is a model of the system {system}, not {expected}: set model.system to {system}" in refused


@pytest.mark.parametrize("system", ["xclip", "a5", "vitaclip", "actionclip", "vifi_prompt"])
def test_wrong_options_of_a_system_are_one_sentence(run, system):
    overlay = ("--config", f"models/{system}.yaml", "--data.batch_size", "16")
    assert "num_frames of" in sentence(run("fit", *overlay, "--model.options.num_frames", "many"))
    refused = sentence(run("fit", *overlay, "--model.options.num_framess", "4"))
    assert "has no option num_framess; did you mean num_frames?" in refused


def test_transformers_own_x_clip_is_trained_and_recognizes(run, demo, tmp_path):
    save_library(tmp_path / "library", load_tokenizer(str(demo / "tiny_clip")))
    argv = ("--config", "models/xclip.yaml", *WITHOUT_CONTEXT, "--model.pretrained", tmp_path / "library")
    said = sentence(run("fit", *argv))
    assert "made for 4 frames, not 8: set data.num_frames to 4" in said
    code, _, err = run("fit", *argv, *SHORT, "--data.num_frames", 4)
    assert code == 0, err
    film = next((demo / "data").rglob("*.mp4"))
    labels = ("--labels", "a star moving left, showing a red disc", "--device", "cpu", "--num_workers", 0)
    for model in (tmp_path / "library", tmp_path / "outputs/demo/version_0"):
        code, _, err = run("recognize", film, "--model", model, *labels, on_demo=False)
        assert code == 0, err
