"""results.json, the table of one test, and the confusion matrix."""

import hashlib
import io
import json
from dataclasses import replace
from importlib import metadata

import pytest
from rich.console import Console

from tc_clip_pl.evaluation.metrics import ClassificationMetrics
from tc_clip_pl.evaluation.pictures import MAX_NAMED_CLASSES, draw_confusion_matrix
from tc_clip_pl.evaluation.results import (
    EvaluationRun,
    build_results,
    find_results,
    hash_file,
    installed_versions,
    read_results,
    write_results,
)
from tc_clip_pl.evaluation.table_rendering import results_table

METRICS = ClassificationMetrics(3, 2 / 3, 1.0, [1.0, 0.0, None], [[2, 0, 0], [1, 0, 0], [0, 0, 0]])
CLASS_NAMES = ["wave", "jump", "brush hair"]


@pytest.fixture
def results(tmp_path, evaluation_set):
    checkpoint = tmp_path / "last.ckpt"
    checkpoint.write_bytes(b"weights")
    return build_results(
        [EvaluationRun(1.0, {"hmdb51/split1": METRICS}), EvaluationRun(0.7, {"hmdb51/split1": METRICS})],
        [evaluation_set("hmdb51", "split1", CLASS_NAMES)],
        config={"seed_everything": 7, "data": {"root": tmp_path}},
        data={"splits": {"test": {"sha256": "abc"}}},
        checkpoint=checkpoint,
        skipped=["a.avi: empty"],
    )


def test_results_survive_json_with_every_metric(results, tmp_path):
    path = write_results(results, tmp_path / "new" / "folder" / "results.json")
    read = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    plain, ensembled = read["runs"]
    assert (plain["ensemble_weight"], ensembled["ensemble_weight"]) == (1.0, 0.7)
    entry = plain["test_sets"]["hmdb51/split1"]
    assert (entry["dataset"], entry["part"], entry["num_clips"]) == ("hmdb51", "split1", 3)
    assert entry["top1"] == pytest.approx(2 / 3)
    assert entry["per_class_top1"] == {"wave": 1.0, "jump": 0.0, "brush hair": None}
    assert entry["confusion_matrix"] == METRICS.confusion
    assert read["seed"] == 7
    assert read["checkpoint"]["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert read["skipped_clips"] == ["a.avi: empty"]
    assert {"torch", "lightning", "transformers", "python"} <= read["versions"].keys()


def test_results_are_never_overwritten(results, tmp_path):
    write_results(results, tmp_path / "results.json")
    with pytest.raises(FileExistsError):
        write_results(results, tmp_path / "results.json")


def test_summary_belongs_to_each_ensemble_weight(evaluation_set):
    sets = [evaluation_set("hmdb51", part, CLASS_NAMES) for part in ("base", "novel")]
    runs = [EvaluationRun(weight, {"hmdb51/base": METRICS, "hmdb51/novel": METRICS}) for weight in (1.0, 0.7)]
    results = build_results(runs, sets, config={}, data={}, checkpoint=None)
    assert [run["summary"]["hmdb51/harmonic_mean"] for run in results["runs"]] == [pytest.approx(2 / 3)] * 2
    assert results["checkpoint"] is None


def test_written_results_are_found_and_read(results, tmp_path):
    path = write_results(results, tmp_path / "results.json")
    assert find_results(tmp_path) == find_results(path) == [path]
    assert read_results(path)["runs"] == results["runs"]


def test_results_without_dataset_and_part_say_what_to_do(results, tmp_path):
    del results["runs"][1]["test_sets"]["hmdb51/split1"]["part"]
    path = write_results(results, tmp_path / "results.json")
    with pytest.raises(ValueError, match=r"results.json was written by an earlier version.*test the checkpoint again"):
        read_results(path)


@pytest.mark.parametrize(("content", "message"), [("{", "not a complete results file"), ("[]", "not a results file")])
def test_files_that_are_no_results(content, message, tmp_path):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_results(tmp_path / "results.json")


def test_hash_of_a_file_larger_than_a_block(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "large").write_bytes(content)
    assert hash_file(tmp_path / "large") == hashlib.sha256(content).hexdigest()


def test_table_is_in_percent_and_fits_a_terminal():
    runs = [EvaluationRun(1.0, {"hmdb51/split1": METRICS}), EvaluationRun(0.7, {"hmdb51/split1": METRICS})]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(results_table(runs))
    text = console.export_text()
    assert "hmdb51/split1" in text
    assert text.count("66.67") == 2
    assert "fine-tuned" in text and "w=0.7" in text


def test_table_of_many_weights_fits_a_terminal_and_leaves_nothing_out():
    weights, metrics = (1.0, 0.7, 0.5, 0.0), replace(METRICS, per_class=[0.0] * 6)
    sets = {"hmdb51/split1": metrics, "kinetics600/split1": metrics}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(results_table([EvaluationRun(weight, sets) for weight in weights]))
    lines = [line.split() for line in console.export_text().splitlines() if "66.67" in line]
    names = ["fine-tuned", "w=0.7", "w=0.5", "w=0"]
    assert [line[-4:] for line in lines] == 2 * [[name, "3", "66.67", "100.00"] for name in names]
    assert [line[0] for line in lines[::4]] == list(sets)


def test_clip_is_named_as_such_only_where_nothing_stays_trained():
    def heading(**options):
        return results_table([EvaluationRun(0.0, {"hmdb51/split1": METRICS}, **options)]).columns[2].header

    assert heading() == "CLIP's encoders, w=0\ntop-1"
    assert heading(is_clip=True) == "CLIP, w=0\ntop-1"


@pytest.mark.parametrize("num_classes", [2, MAX_NAMED_CLASSES + 1])
def test_confusion_matrix_is_drawn(num_classes, tmp_path):
    confusion = [[int(row == column) for column in range(num_classes)] for row in range(num_classes)]
    confusion[0][0] = 0  # a class without clips
    figure = draw_confusion_matrix(confusion, [f"class {n}" for n in range(num_classes)], "title")
    figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    axes = figure.axes[0]
    assert axes.get_title() == "title" and axes.images[0].get_clim() == (0, 1)  # colors are shares
    named = [f"class {n}" for n in range(num_classes)] if num_classes == 2 else []
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels if label.get_text().startswith("class")] == named


def test_counts_are_written_for_few_classes_only():
    def texts(n):
        return [text.get_text() for text in draw_confusion_matrix([[3] * n] * n, ["x"] * n, "title").axes[0].texts]

    assert texts(2) == ["3"] * 4
    assert len(texts(20)) == 400
    assert texts(21) == []


def test_results_say_how_much_was_tested_and_what_was_run(tmp_path, evaluation_set):
    (tmp_path / "best.ckpt").touch()
    found = build_results(
        [EvaluationRun(1.0, {"hmdb51/split1": METRICS})],
        [evaluation_set("hmdb51", "split1", CLASS_NAMES)],
        config={},
        data={"splits": {"hmdb51/split1": {"num_clips": 3783}}},
        checkpoint=tmp_path / "best.ckpt",
        checkpoint_facts={"epoch": 4, "selection": "best"},
        clip={"name": "clip", "sha256": "c"},
        training={"max_epochs": 5},
        command=["tcclip", "test"],
    )
    assert found["partial"] == "hmdb51/split1: 3 of 3783 clips"
    assert (found["checkpoint"]["selection"], found["checkpoint"]["epoch"]) == ("best", 4)
    assert (found["clip"]["sha256"], found["training"], found["command"]) == (
        "c",
        {"max_epochs": 5},
        ["tcclip", "test"],
    )
    assert found["runs"][0]["test_sets"]["hmdb51/split1"]["top5"] is None  # three classes


def test_whole_tests_are_not_partial(results):
    assert results["partial"] is False


def test_table_marks_partial_tests_and_leaves_out_the_top5_of_few_classes():
    console = Console(width=80, record=True, file=io.StringIO())
    partial = {"hmdb51/split1": "3 of 3783 clips"}
    console.print(results_table([EvaluationRun(1.0, {"hmdb51/split1": METRICS})], partial=partial))
    text = console.export_text()
    assert "3 of 3783, partial" in text
    assert "100.00" not in text


def test_names_are_readable_in_the_file(tmp_path):
    assert "fouetté" in write_results({"class": "fouetté"}, tmp_path / "results.json").read_text(encoding="utf-8")


def test_versions_leave_out_what_is_not_installed(monkeypatch):
    def version(package):
        if package == "tcclip":
            raise metadata.PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    versions = installed_versions()
    assert "tcclip" not in versions and versions["torch"] == versions["decord"] == "1.0"
