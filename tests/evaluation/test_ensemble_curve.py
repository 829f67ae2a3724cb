"""Accuracy by ensemble weight: splits averaged, the training dataset apart, files that say the same."""

import csv
import json

import pytest

from tc_clip_pl.evaluation.ensemble_curve import build_curve, curve_table, draw_curve, write_curve
from tc_clip_pl.evaluation.metrics import ClassificationMetrics
from tc_clip_pl.evaluation.results import EvaluationRun

PARTS = [("hmdb51", "split1"), ("hmdb51", "split2"), ("ucf101", "split1"), ("k400", "validation")]


def metrics(top1):
    return ClassificationMetrics(10, top1, 1.0, [top1], [[10]])


@pytest.fixture
def curve(evaluation_set):
    sets = [evaluation_set(*part) for part in PARTS]
    accuracies = {1.0: (0.5, 0.3, 0.6, 0.9), 0.0: (0.2, 0.2, 0.4, 0.5), 0.7: (0.6, 0.4, 0.7, 0.8)}
    runs = [
        EvaluationRun(weight, {entry.name: metrics(top1) for entry, top1 in zip(sets, values, strict=True)})
        for weight, values in accuracies.items()
    ]
    return build_curve(runs, sets, trained_on="k400")


def test_means_leave_the_training_dataset_out(curve):
    assert curve.weights == [0.0, 0.7, 1.0] and curve.trained_on == "k400/validation" and curve.best == 0.7
    assert {name: pytest.approx(values) for name, values in curve.top1.items()} == {
        "hmdb51": [0.2, 0.5, 0.4],
        "ucf101": [0.4, 0.7, 0.6],
        "k400/validation": [0.5, 0.8, 0.9],
    }
    assert curve.mean == pytest.approx([0.3, 0.6, 0.5])


def test_halves_of_the_classes_stay_apart(evaluation_set):
    sets = [evaluation_set("hmdb51", half) for half in ("base", "novel")]
    runs = [EvaluationRun(weight, {entry.name: metrics(0.5) for entry in sets}) for weight in (0.0, 0.5, 1.0)]
    curve = build_curve(runs, sets)
    assert list(curve.top1) == ["hmdb51/base", "hmdb51/novel"]
    assert curve.best == 1.0  # of equal ones the fine-tuned model


def test_files_say_the_same(curve, tmp_path):
    files = write_curve(curve, tmp_path / "curve")
    assert [file.suffix for file in files] == [".csv", ".json", ".png", ".pdf"]
    assert all(file.stat().st_size for file in files)
    rows = list(csv.DictReader(files[0].open()))
    stored = json.loads(files[1].read_text())
    assert [row["w"] for row in rows] == ["0", "0.7", "1"] and stored["best"] == 0.7
    for name in ("hmdb51", "ucf101", "k400/validation"):
        assert [float(row[name]) for row in rows] == pytest.approx(stored["top1"][name])
    assert [float(row["mean"]) for row in rows] == pytest.approx(stored["mean"])


def test_picture_has_the_trade_off_where_the_training_dataset_was_tested(curve):
    by_weight, trade_off = draw_curve(curve).axes
    lines = {line.get_label(): list(line.get_ydata()) for line in by_weight.lines if line.get_label() in curve.top1}
    assert lines["hmdb51"] == pytest.approx([20, 50, 40])
    (line,) = trade_off.lines
    assert list(line.get_xdata()) == pytest.approx([50, 80, 90]) and list(line.get_ydata()) == pytest.approx(
        [30, 60, 50]
    )


def test_table_marks_the_best(curve):
    table = curve_table(curve)
    assert list(table.columns[0].cells) == ["0", "0.7 *", "1"]
    assert table.caption == "* the best mean, without k400/validation, which was trained on"
