"""`tcclip report`: which runs a table of the paper takes."""

import json

import pytest

from tc_clip_pl.cli import main


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    def write(name, protocol):
        entry = {"dataset": "hmdb51", "part": "split1", "top1": 0.5, "top5": 0.9}
        content = {
            "runs": [{"ensemble_weight": 1.0, "test_sets": {"hmdb51/split1": entry}}],
            "data": {"num_shots": None if protocol == "zero_shot" else 2},
            "checkpoint": {"sha256": name},
            "config": {"protocol": protocol},
            "versions": {"torch": name},
        }
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps(content))
        return str(tmp_path / name)

    return write


def test_runs_of_another_protocol_are_left_out_of_a_paper_table(write, capsys):
    folders = [write("zero", "zero_shot"), write("few", "few_shot")]
    assert main(["report", *folders, "--paper", "zero_shot"]) == 0
    out = capsys.readouterr().out
    assert "Left out, of another protocol: few/results.json (few_shot)" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80
    assert main(["report", folders[1], "--paper", "zero_shot"]) == 1
    assert "whose protocol is few_shot" in capsys.readouterr().err


def test_versions_that_differ_are_noted(write, capsys):
    assert main(["report", write("2.4", "few_shot"), write("2.5", "few_shot")]) == 0
    assert "torch differs: 2.4, 2.5" in capsys.readouterr().out


def test_table_of_the_paper_is_printed_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["report", "--paper", "zero_shot", "--output", str(tmp_path / "table.md")]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert " ".join(["Open-VCLIP°", "0.5", "53.9", "±", "1.2", "83.4", "±", "1.2"]) in " ".join(out.split())
    assert (tmp_path / "table.md").read_text().count("°") >= 15


@pytest.mark.parametrize("argv", [[], ["--paper", "zero_shot", "--json", "x.json"]])
def test_report_of_nothing(argv, capsys):
    assert main(["report", *argv]) == 1
    assert "Give output folders of `tcclip fit`" in capsys.readouterr().err
