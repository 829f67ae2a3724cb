"""Compared systems from the command line: trained and tested, and tested again from the checkpoint alone."""

import json

import pytest

WITHOUT_CONTEXT = ["--model.config.num_context_tokens=null", "--model.config.merges_per_round=null"]
WEIGHTS = {"xclip": [1.0], "actionclip": [1.0, 0.7]}


@pytest.mark.parametrize("system", ["xclip", pytest.param("actionclip", marks=pytest.mark.slow)])
def test_system_trains_and_is_tested_again_from_its_checkpoint(run, alone, tmp_path, system):
    overlay = ["--config", f"models/{system}.yaml", *WITHOUT_CONTEXT, "--data.batch_size", "16"]
    code, _, err = run("fit", *overlay)
    assert code == 0, err
    folder = tmp_path / "outputs" / "demo" / "version_0"
    first = json.loads((folder / "results.json").read_text())["runs"]
    assert [entry["ensemble_weight"] for entry in first] == WEIGHTS[system]
    code, _, err = alone("test", folder / "checkpoints" / "last.ckpt")
    assert code == 0, err
    again = json.loads((tmp_path / "outputs" / "demo" / "version_1" / "results.json").read_text())["runs"]
    assert again == first
