"""results.json, the table and the picture."""

import hashlib
import io
import json

import pytest
from rich.console import Console

from tc_clip_pl.evaluation.metrics import ClassificationFigures
from tc_clip_pl.evaluation.pictures import MAX_NAMED_CLASSES, draw_confusion_matrix
from tc_clip_pl.evaluation.results import TestRun, build_results, hash_file, write_results
from tc_clip_pl.evaluation.tables import results_table

FIGURES = ClassificationFigures(3, 2 / 3, 1.0, [1.0, 0.0, None], [[2, 0, 0], [1, 0, 0], [0, 0, 0]])
CLASS_NAMES = ["wave", "jump", "brush hair"]


@pytest.fixture
def results(tmp_path):
    checkpoint = tmp_path / "last.ckpt"
    checkpoint.write_bytes(b"weights")
    return build_results(
        [TestRun(1.0, {"hmdb51/split1": FIGURES}), TestRun(0.7, {"hmdb51/split1": FIGURES})],
        {"hmdb51/split1": CLASS_NAMES},
        config={"seed_everything": 7, "data": {"root": tmp_path}},
        data={"splits": {"test": {"sha256": "abc"}}},
        checkpoint=checkpoint,
        skipped=["a.avi: empty"],
    )


def test_results_survive_json_with_every_figure(results, tmp_path):
    path = write_results(results, tmp_path / "new" / "results.json")
    read = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    plain, ensembled = read["runs"]
    assert (plain["ensemble_weight"], ensembled["ensemble_weight"]) == (1.0, 0.7)
    entry = plain["test_sets"]["hmdb51/split1"]
    assert entry["top1"] == pytest.approx(2 / 3)
    assert entry["per_class_top1"] == {"wave": 1.0, "jump": 0.0, "brush hair": None}
    assert entry["confusion_matrix"] == FIGURES.confusion
    assert read["seed"] == 7
    assert read["checkpoint"]["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert read["skipped_clips"] == ["a.avi: empty"]
    assert {"torch", "lightning", "transformers", "python"} <= read["versions"].keys()


def test_never_overwrites(results, tmp_path):
    write_results(results, tmp_path / "results.json")
    with pytest.raises(FileExistsError):
        write_results(results, tmp_path / "results.json")


def test_hash_of_a_file_larger_than_a_block(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "large").write_bytes(content)
    assert hash_file(tmp_path / "large") == hashlib.sha256(content).hexdigest()


def test_table_is_in_per_cent_and_fits_a_terminal():
    runs = [TestRun(1.0, {"hmdb51/split1": FIGURES}), TestRun(0.7, {"hmdb51/split1": FIGURES})]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(results_table(runs))
    text = console.export_text()
    assert "hmdb51/split1" in text
    assert text.count("66.67") == 2
    assert "fine-tuned" in text and "w=0.7" in text


@pytest.mark.parametrize("num_classes", [2, MAX_NAMED_CLASSES + 1])
def test_confusion_picture(num_classes, tmp_path):
    confusion = [[int(row == column) for column in range(num_classes)] for row in range(num_classes)]
    confusion[0][0] = 0  # a class without clips
    figure = draw_confusion_matrix(confusion, [f"class {n}" for n in range(num_classes)], "title")
    figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert figure.axes[0].get_title() == "title"
