"""Systems around a frozen CLIP from the command line: trained, tested from the checkpoint alone, never ensembled."""

import json
import re

import pytest
import torch

from tests.cli.conftest import sentence

SYSTEMS = {"a5": "A5", "vitaclip": "Vita-CLIP"}


@pytest.fixture(scope="module", params=["vitaclip", pytest.param("a5", marks=pytest.mark.slow)])
def system(request):
    return request.param


def test_trains_and_is_tested_from_its_checkpoint_alone(system, run, alone, tmp_path):
    code, out, err = run("fit", "--config", f"models/{system}.yaml", "--output_dir", tmp_path / "out")
    assert code == 0, out + err
    folder = tmp_path / "out" / "demo" / "version_0"
    last = folder / "checkpoints" / "last.ckpt"
    results = json.loads((folder / "results.json").read_text())
    stored = torch.load(last, weights_only=True)["tc_clip"]["config"]
    assert (stored["model_type"], stored["num_frames"]) == (system, 8)
    assert SYSTEMS[system] in json.dumps(results)
    code, again, err = alone("test", last)
    assert code == 0, again + err
    line = next(line for line in out.splitlines() if "hmdb51/split1" in line)
    assert line in again.splitlines()
    refused = sentence(alone("test", last, "--ensembling.weights", "[1.0,0.7]"))
    assert f"{SYSTEMS[system]} leaves CLIP's weights as they are" in refused and "--ensembling.weights [1.0]" in refused
    refused = sentence(run("convert", last, tmp_path / "folder", "--ensemble", "0.7", on_demo=False))
    assert "nothing to ensemble them with at w = 0.7: leave --ensemble out" in refused
    assert sentence(alone("test", last, "--data.num_frames", "4")).count("4") and not (tmp_path / "folder").exists()


def test_ensembling_is_refused_before_the_training(system, run):
    refused = sentence(run("fit", "--config", f"models/{system}.yaml", "--ensembling.weights", "[0.7]"))
    assert "nothing to ensemble them with at w = 0.7: give --ensembling.weights [1.0]" in refused


def test_vectors_of_each_class_are_counted_among_the_trained_parameters(run, caplog):
    options = ["--model.options", "{num_text_vectors: 50}", "--trainer.fast_dev_run", "true"]
    code, out, err = run("fit", "--config", "models/vitaclip.yaml", *options)
    assert code == 0, out + err
    (counted,) = [float(text) for text in re.findall(r"trained: ([\d.]+) M", caplog.text)]
    others = 0.06  # million; the vectors of ten classes are 50 * 64 each
    assert counted == pytest.approx(others + 10 * 50 * 64 / 1e6, abs=0.011)
