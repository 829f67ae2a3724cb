"""Open-VCLIP and FROSTER from the command line: trained and tested, and tested again from the checkpoint alone."""

import json

import pytest
import torch

WITHOUT_CONTEXT = ["--model.config.num_context_tokens=null", "--model.config.merges_per_round=null"]
SHORT = ["--trainer.max_epochs", "2", "--trainer.limit_val_batches", "0", "--data.num_temporal_views", "2"]
BATCHES = ["--data.batch_size", "8", "--data.global_batch_size", "16"]
WEIGHTS = {"open_vclip": [1.0, 0.5], "froster": [1.0]}


@pytest.mark.slow
@pytest.mark.parametrize("system", WEIGHTS)
def test_trains_and_is_tested_again_from_its_checkpoint(run, alone, tmp_path, system):
    code, _, err = run("fit", "--config", f"models/{system}.yaml", *WITHOUT_CONTEXT, *SHORT, *BATCHES)
    assert code == 0, err
    folder = tmp_path / "outputs" / "demo" / "version_0"
    report = json.loads((folder / "results.json").read_text())
    assert [entry["ensemble_weight"] for entry in report["runs"]] == WEIGHTS[system]
    assert report["data"]["views"]["window_seconds"] == 4.267
    code, _, err = alone("test", folder / "checkpoints" / "last.ckpt")
    assert code == 0, err
    again = json.loads((tmp_path / "outputs" / "demo" / "version_1" / "results.json").read_text())["runs"]
    assert again == report["runs"]


@pytest.mark.slow
def test_teacher_is_not_saved_and_projections_are(run, tmp_path):
    code, _, err = run("fit", "--config", "models/froster.yaml", *WITHOUT_CONTEXT, *SHORT, *BATCHES)
    assert code == 0, err
    path = tmp_path / "outputs" / "demo" / "version_0" / "checkpoints" / "last.ckpt"
    names = [name for name in torch.load(path, weights_only=True)["state_dict"] if not name.startswith("model.")]
    parts = ("project_image.first", "project_image.second", "project_text.first", "project_text.second")
    assert sorted(names) == [f"objective.{part}.weight" for part in parts]
