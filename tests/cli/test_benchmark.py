"""`tcclip benchmark` on the command line: its JSON, its tables and its mistakes."""

import json

import pytest

from tc_clip_pl.benchmarks import peak
from tc_clip_pl.cli import main
from tc_clip_pl.cli.benchmark import run_data
from tc_clip_pl.cli.benchmark.tables import layout, markdown_table

QUICK = ("--model.pretrained", "world", "--num_frames", "8", "--repeats", "1", "--device", "cpu")
FACTS = {"benchmark", "command", "device", "cores", "threads", "precision", "versions", "model", "peak", "rows"}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Multiply smaller matrices for the peak, and write fewer and smaller films."""
    monkeypatch.setattr(peak, "CPU_SIZE", 256)
    monkeypatch.setattr(peak, "REPEATS", {"cpu": 3})
    for name, value in {"FILM_SIZE": 64, "FILM_ACTIONS": 4, "FILMS": 4}.items():
        monkeypatch.setattr(run_data, name, value)


def bench(capsys, *argv):
    code = main(["benchmark", *map(str, argv)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("model", ["TC-CLIP", "frame-wise", "HF CLIP"]),
        pytest.param("latency", ["TC-CLIP", "frame-wise", "HF CLIP"], marks=pytest.mark.slow),
        pytest.param("train", ["TC-CLIP", "frame-wise", "HF CLIP"], marks=pytest.mark.slow),
        pytest.param("attention", ["with context", "frame alone"] * 2, marks=pytest.mark.slow),
        ("matching", ["matching"]),
    ],
)
def test_json_says_what_was_measured_and_where(tmp_path, capsys, what, names):
    output = tmp_path / "new" / "result.json"
    code, out, err = bench(capsys, what, *QUICK, "--output", output, "--format", "json")
    assert code == 0, err
    record = json.loads(output.read_text())
    assert record == json.loads(out)
    assert set(record) >= FACTS
    assert record["command"].startswith(f"tcclip benchmark {what} --model.pretrained world")
    assert record["versions"]["torch"] and record["peak"]["tflops"] > 0
    assert [row["name"] for row in record["rows"]] == names
    assert all(row["median_ms"] > 0 and row["rate"] > 0 for row in record["rows"])
    assert len(err.splitlines()) == 1 + len(names)  # a line for each row, as it is measured


def test_table_fits_a_terminal(capsys):
    code, out, _ = bench(capsys, "model", *QUICK, "--batch_size", 1, 2, "--num_classes", 3)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert out.startswith("model: ") and "classes 3" in out.splitlines()[0] and "batch" not in out.splitlines()[0]


def test_data_of_generated_films(capsys):
    options = ("--data.num_workers", 0, "--data.num_frames", 2, "--data.batch_size", 8, "--model.pretrained", "world")
    code, out, err = bench(capsys, "data", *options, "--model.config.num_context_tokens", 6)
    assert code == 0, err
    assert "loader, epoch 2" in out and "wait" not in out
    stages = ("open", "index", "decode", "convert", "resize", "collate", "copy", "augment")
    assert all(f"\n{name} " in out for name in stages)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["modl"], "There is no benchmark 'modl': choose one of"),
        ([], "No benchmark is named first"),
        (["model", "--config", "nope"], "There is no configuration 'nope'"),
        (["model", "--batch_size", "0"], "--batch_size is 0; it must be at least 1."),
        (["model", "--repeats", "0"], "--repeats is 0; it must be at least 1."),
        (["model", "--data.root", "x"], "--data.root is for `tcclip benchmark data`"),
        (["model", "--kernls", "plain"], "did you mean kernels?"),
        (["model", "--model.checkpoint_activations", "true"], "There is no configuration key model.checkpoint_act"),
        (["attention", "--kernels", "auto"], "--kernels auto is for whole models"),
        (["attention", "--num_classes", "3"], "There is no configuration key num_classes"),
        (["data", "--kernels", "plain", "--data", "SyntheticDataModule"], "reads no video files"),
        (["data", "--clips", "0"], "--clips is 0; it must be at least 1."),
        (["model", *QUICK, "--output", "/dev/null/x"], "--output /dev/null/x cannot be written"),
    ],
)
def test_mistakes_are_one_sentence(capsys, argv, message):
    code, _, err = bench(capsys, *argv)
    (line,) = [line for line in err.splitlines() if line.startswith("tcclip: ")]
    assert code == 1 and message in line, err


@pytest.mark.parametrize("what", ["model", "attention", "matching"])
def test_a_cpu_refuses_triton_kernels(capsys, monkeypatch, what):
    pytest.importorskip("triton")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    code, _, err = bench(capsys, what, *QUICK, "--kernels", "triton")
    (line,) = [line for line in err.splitlines() if line.startswith("tcclip: ")]
    assert code == 1 and "kernels 'triton' need a GPU" in line, err


def test_model_and_frames_come_from_the_configuration(tmp_path, capsys):
    config = tmp_path / "mine.yaml"
    config.write_text(
        "model: {pretrained: world, config: {reference_tokens: none, prompting: template}, optimizer: {init_args: "
        "{lr: 0.5}}}\ndata: {class_path: X, init_args: {num_frames: 5}}"
    )
    code, out, _ = bench(capsys, "train", "--config", config, *QUICK[4:], "--num_classes", 3, "--format", "json")
    record = json.loads(out)
    tc, own, _ = record["rows"]
    assert code == 0 and tc["num_frames"] == 5 and record["model"] == "world"
    assert tc["tflops"] * tc["median_ms"] == pytest.approx(own["tflops"] * own["median_ms"])  # both are frame-wise


@pytest.mark.parametrize("by_option", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_training_recomputes_activations_by_configuration_or_option(tmp_path, capsys, by_option):
    config = tmp_path / "mine.yaml"
    config.write_text("model: {pretrained: world, checkpoint_activations: true}")
    options = (*QUICK[2:], "--num_classes", 3, "--format", "json")
    option = ("--model.pretrained", "world", "--model.checkpoint_activations", "true")
    code, out, err = bench(capsys, "train", *(option if by_option else ("--config", config)), *options)
    assert code == 0 and json.loads(out)["recomputes"] is True, err


def record_with(*rows, benchmark="model"):
    base = {"low_ms": 9.0, "high_ms": 11.0, "p95_ms": 12.0, "first_s": 3.0, "memory_gib": None, "tflops": None}
    base |= {"peak_share": None, "ratio": None, "note": "", "median_ms": 10.0, "rate": 1234.5}
    return {"benchmark": benchmark, "rows": [base | row for row in rows]}


def test_settings_that_all_rows_share_are_no_column():
    record = record_with({"name": "a", "batch_size": 8, "kernels": "triton"}, {"name": "b", "batch_size": 8})
    headings, cells = layout(record)
    assert headings == ["", "ms", "±%", "videos/s"]
    assert cells == [["a, triton", "10", "10.0", "1234"], ["b", "10", "10.0", "1234"]]
    record["rows"][1]["batch_size"] = 16
    assert layout(record)[0][1] == "batch"


def test_row_without_a_time_says_why():
    failed = {"name": "a", "median_ms": None, "rate": None, "note": "out of memory"}
    assert "| out of memory |" in markdown_table(record_with(failed, {"name": "b"}))


def test_compilation_is_shown_where_there_is_some():
    assert "1st s" in layout(record_with({"name": "a", "kernels": "compiled"}))[0]
    assert "p95 ms" in layout(record_with({"name": "a"}, benchmark="latency"))[0]
