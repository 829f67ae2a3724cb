"""`tcclip ensemble`: the curve is that of single tests; weights are exact decimals."""

import csv
import json

import pytest

from tc_clip_pl.cli.ensemble import read_weights

from .conftest import sentence


@pytest.fixture
def ensemble(run):
    quiet = ("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false")
    return lambda *argv: run("ensemble", *argv, *(quiet if argv else ()), on_demo=False)


def test_curve_is_that_of_single_tests(ensemble, alone, last, tmp_path):
    code, out, err = ensemble(last, "--weights", "0.2:1:0.4", "--output_dir", "curve")
    assert code == 0, err
    assert "0.2" in out and "Curve: curve/demo/version_0/ensemble_curve.csv, .json, .png, .pdf" in out
    (file,) = tmp_path.glob("curve/*/*/ensemble_curve.csv")
    rows = list(csv.DictReader(file.open()))
    assert [row["w"] for row in rows] == ["0.2", "0.6", "1"]
    for row in rows:
        name = f"single_{row['w']}"
        assert alone("test", last, "--ensembling.weights", f"[{row['w']}]", "--output_dir", name)[0] == 0
        (results,) = tmp_path.glob(f"{name}/*/*/results.json")
        (run,) = json.loads(results.read_text())["runs"]
        (test,) = run["test_sets"].values()
        assert float(row["mean"]) == pytest.approx(test["top1"], abs=1e-6)


def test_weights_are_exact():
    assert [str(weight) for weight in read_weights("0:1:0.1")][3] == "0.3"
    assert [float(weight) for weight in read_weights("0:1:0.1")] == [n / 10 for n in range(11)]
    assert [float(weight) for weight in read_weights("0.5, 1")] == [0.5, 1.0]
    assert [float(weight) for weight in read_weights("0:1:0.4")] == [0.0, 0.4, 0.8]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("", "Give a checkpoint: tcclip ensemble CKPT [--weights 0:1:0.1]."),
        ("no.ckpt", "There is no checkpoint no.ckpt; check the path."),
        ("CKPT --weights=", "--weights is ''; give START:STOP:STEP such as 0:1:0.1, or a list such as 0,0.5,1."),
        ("CKPT --weights 0:1", "--weights is '0:1'; give START:STOP:STEP"),
        ("CKPT --weights=a,b", "--weights is 'a,b'; give START:STOP:STEP"),
        ("CKPT --weights 1:0:0.1", "--weights 1:0:0.1 has no weight"),
        ("CKPT --weights 0:1:0", "--weights 0:1:0 has no weight"),
        ("CKPT --weights 0:1.2:0.4", "--weights has 1.2; weights are between 0 (CLIP's encoders) and 1 (fine-tuned)."),
        ("CKPT --weights nan", "--weights is 'nan'"),
        ("CKPT --weights 0.5,0.50", "ensembling.weights has 0.5 more than once"),
        (". --weights 0,1", "The folder . does not know its data: give --config NAME."),
    ],
)
def test_mistake_is_one_sentence(ensemble, last, argv, expected):
    assert sentence(ensemble(*argv.replace("CKPT", str(last)).split())).startswith(f"tcclip: {expected}")
