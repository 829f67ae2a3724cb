"""`tcclip recognize`: the formats of its answers, its exit codes, and one sentence for each mistake."""

import csv
import io
import json
from itertools import pairwise

import pytest
from safetensors.torch import load_file

from datamodules.synthetic.actions import DEMO

from .conftest import sentence

NAMES = [action.name for action in DEMO]
QUICK = ("--device", "cpu", "--num_workers", "0")


@pytest.fixture
def recognize(run, demo, tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    for n, film in enumerate(sorted((demo / "data").rglob("*.mp4"))[:3]):
        (folder / f"{n}.mp4").write_bytes(film.read_bytes())
    (folder / "bad.mp4").write_text("no video")

    def recognize(*argv):
        return run("recognize", *argv, *QUICK, on_demo=False)

    return recognize


def test_answers_are_those_of_predict(recognize, last, alone, tmp_path):
    code, out, err = recognize("films", "--labels", ",".join(NAMES), "--model", last, "--format", "json", "--top", 10)
    assert code == 0, err
    code, _, err = alone("predict", last, "--data.root", "films", "--classes", ", ".join(NAMES), "--top", "all",
                         "--data.on_bad_video", "skip", "--data.num_workers", "0")  # fmt: skip
    assert code == 0, err
    (file,) = tmp_path.rglob("predictions.csv")
    rows = {row[0]: row[1:] for row in csv.reader(file.open())}
    for answer in json.loads(out):
        name = answer["video"].removeprefix("films/")
        if name == "bad.mp4":
            assert "cannot be decoded" in answer["error"] and "answer" not in answer
            continue
        predicted = dict(zip(rows[name][::2], map(float, rows[name][1::2]), strict=True))
        found = {label["label"]: label["probability"] for label in answer["labels"]}
        assert found == pytest.approx(predicted, abs=2e-4) and answer["answer"] == rows[name][0]
    assert len(json.loads(out)) == 4


def test_formats_say_the_same(recognize):
    def ask(form):
        code, out, err = recognize("films", "--labels", "a star moving left, running", "--format", form, "--top", 1)
        assert code == 0 and "No --model: world is used" in err, err
        return out

    answers = json.loads(ask("json"))
    assert [json.loads(line) for line in ask("jsonl").splitlines()] == answers
    rows = list(csv.DictReader(io.StringIO(ask("csv"))))
    for row, answer in zip(rows, answers, strict=True):
        assert row["video"] == answer["video"] and row["error"] == answer.get("error", "")
        if "labels" in answer:
            (best,) = answer["labels"]
            assert (row["label"], float(row["probability"])) == (best["label"], best["probability"])
    table = ask("table")
    assert "films/0.mp4" in table and "Not read: films/bad.mp4 cannot be decoded" in table
    assert max(map(len, table.splitlines()[:-1])) <= 80


def test_unsure_answers_are_unknown(recognize):
    labels = ("--labels", "a star moving left, running", "--unknown_threshold", 1.0)
    _, out, _ = recognize("films/0.mp4", *labels, "--format", "json")
    (answer,) = json.loads(out)
    assert answer["answer"] == "unknown" and answer["labels"][0]["label"] in ("a star moving left", "running")
    assert "unknown (" in recognize("films/0.mp4", *labels)[1]


def test_timeline_covers_the_video(recognize):
    argv = ("--labels", "a star moving left, running", "--window", 0.5, "--stride", 0.25, "--format", "json")
    code, out, err = recognize("films/0.mp4", "films/bad.mp4", *argv)
    assert code == 0, err
    *segments, bad = json.loads(out)
    assert bad["video"] == "films/bad.mp4" and "cannot be decoded" in bad["error"]
    assert segments[0]["start"] == 0
    for before, after in pairwise(segments):
        assert before["end"] == after["start"] and before["answer"] != after["answer"]


def test_stream_prints_a_line_at_once(recognize):
    code, out, err = recognize("--stream", "films/0.mp4", "--labels", "a star moving left, running", "--window", 0.5)
    assert code == 0, err
    assert len(out.splitlines()) >= 2 and all(" s  " in line and "%" in line for line in out.splitlines())


def test_features_are_written(recognize):
    argv = ("--labels", "a star moving left, running", "--features", "f.safetensors", "--views", "3x1")
    assert recognize("films", *argv)[0] == 0
    tensors = load_file("f.safetensors")
    assert tensors["video_embeds"].shape[:2] == (3, 3) and tensors["text_embeds"].shape[0] == 2
    assert "f.safetensors exists" in sentence(recognize("films", *argv))


def test_nothing_read_is_exit_code_1(recognize):
    code, out, _ = recognize("films/bad.mp4", "--labels", "a, b", "--format", "jsonl")
    assert code == 1 and "cannot be decoded" in json.loads(out)["error"]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("", "Give videos or folders, or --stream URL"),
        ("films --stream a --labels a,b", "Give videos or folders, or --stream URL"),
        ("films", "Give the words to choose from: --labels"),
        ("films --labels a", "Give two labels or more to choose from; the only one is 'a'."),
        ("films --labels a,b,a", "The label 'a' is given 2 times; give it once."),
        ("none.mp4 --labels a,b", "There is no video or folder none.mp4; check the path."),
        ("films --labels a,b --format xml", "--format is 'xml'; choose one of table, json, jsonl, csv."),
        ("films --labels a,b --top 0", "--top is 0; it must be at least 1."),
        ("films --labels a,b --unknown_threshold 2", "--unknown_threshold is 2; it must be between 0 and 1."),
        ("films --labels a,b --views 2", "--views is '2'; give temporal views x crops (1 or 3), such as 2x1 or 4x3."),
        (
            "films --labels a,b --views 2x2",
            "--views is '2x2'; give temporal views x crops (1 or 3)",
        ),
        ("films --labels a,b --decoder x", "--decoder is 'x'; choose one of auto, pyav, decord, torchcodec."),
        ("films --labels a,b --batch_size 0", "--batch_size is 0; it must be at least 1."),
        ("films --labels a,b --window 0", "--window is 0; it must be a positive number of seconds."),
        ("films --labels a,b --stride 1", "--stride moves a window: give --window too."),
        ("films --labels a,b --window 1 --stride 2", "--stride 2 leaves gaps between windows of 1 s; make it shorter."),
        (
            "films --labels a,b --window 1 --features f",
            "--features is for whole videos",
        ),
        ("films --labels a,b --model films", "films holds neither a model (config.json) nor a run"),
        ("films --labels a,b --modle films", "There is no configuration key modle; did you mean model?"),
        ("--stream none.mp4 --labels a,b", "The stream none.mp4 cannot be opened"),
    ],
)
def test_mistake_is_one_sentence(recognize, argv, expected):
    assert sentence(recognize(*argv.split())).startswith(f"tcclip: {expected}")
