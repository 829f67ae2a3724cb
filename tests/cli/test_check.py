"""`tcclip check` as typed by a user."""

import json
import shutil

import pytest

from tc_clip_pl.cli import main


@pytest.fixture
def check(run, demo_config, tmp_path):
    """Run `tcclip check` with a cache of its own; return exit code, stdout, stderr and the JSON report."""

    def check(root, *argv):
        files = (
            "--data.root",
            root,
            "--cache",
            tmp_path / "cache.jsonl",
            "--report",
            tmp_path / "new" / "report.json",
        )
        code, out, err = run("check", "--config", demo_config, *files, *argv, on_demo=False)
        report = tmp_path / "new" / "report.json"
        return code, out, err, json.loads(report.read_text()) if report.exists() else None

    return check


@pytest.fixture
def damaged(demo, tmp_path):
    root = shutil.copytree(demo / "data", tmp_path / "damaged")
    clips = sorted(root.rglob("*.mp4"))  # film 0, film 1, the first test film, ...
    clips[2].unlink()
    clips[0].write_bytes(b"")
    clips[1].write_text("an error page [with brackets]")
    return root


def test_correct_dataset(demo, check):
    code, out, err, report = check(demo / "data", "--num_workers", "2")
    assert (code, err) == (0, "")
    assert "No errors: 60 files checked at level decode." in out
    assert report["ok"] and [checked["num_clips"] for checked in report["lists"]] == [40, 20]
    out = check(demo / "data", "--data.num_frames", "99", "--level", "header")[1]
    assert "Warning in train: clip shorter than a view (40)" in out and "and 35 more" in out
    assert "60 of them in an earlier check" in check(demo / "data", "--num_workers", "2")[1]


def test_errors_are_reported_and_the_exit_code_is_1(damaged, check):
    code, out, err, report = check(damaged, "--level", "header")
    assert (code, err) == (1, "")
    assert not report["ok"]
    assert out.count("missing file (1)") == 2  # for its list, and in the verdict
    assert "Error in hmdb51/split1: missing file (1)" in out
    assert {kind for checked in report["lists"] for kind in checked["errors"]} == {"missing", "empty", "undecodable"}
    assert not any(checked["warnings"] for checked in report["lists"])


def test_clips_that_a_run_skips_are_warnings(damaged, check):
    code, out, _, report = check(damaged, "--level", "presence", "--data.on_bad_video", "skip")
    assert code == 0 and "Warning in" in out and "No errors" in out
    assert {kind for checked in report["lists"] for kind in checked["warnings"]} == {"missing", "empty"}
    assert not any(checked["errors"] for checked in report["lists"])


def test_output_keeps_names_and_paths_in_one_piece(demo, check, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = check(demo / "data", "--level", "presence")[1].splitlines()
    assert [line.split() for line in lines if line.startswith((" train", " hmdb51"))] == [
        ["train", "40", "10", "4", "0", "0"],
        ["hmdb51/split1", "20", "10", "2", "0", "0"],
    ]
    assert f"train: 10 files in {demo}/data/annotations" in lines


@pytest.mark.parametrize(
    "argv, message",
    [
        (("--level", "full"), "invalid choice: 'full'"),
        (("--num_workers", "0"), "--num_workers is 0"),
        (("--data.rot", "x"), "did you mean data.root?"),
        (("--data.root", "nowhere"), "nowhere does not exist"),
        (("--data", "HMDB51DataModul"), "Unknown data module HMDB51DataModul "),
    ],
)
def test_mistakes_are_explained_in_one_sentence(demo, check, argv, message):
    code, _, err, report = check(demo / "data", *argv)
    assert code == 1 and report is None
    assert message in err and "Traceback" not in err


def test_data_must_be_given(run):
    code, _, err = run("check", "--data.root", "x", on_demo=False)
    assert code == 1 and "choose one with --data" in err and "HMDB51DataModule" in err


def test_broken_configuration(run, tmp_path):
    (tmp_path / "broken.yaml").write_text("data: [")
    code, _, err = run("check", "--config", "broken.yaml", on_demo=False)
    assert code == 1 and "is not valid YAML" in err


def test_help_fits_on_a_screen(capsys):
    assert main(["check", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 30 and max(map(len, lines)) <= 80


def test_ctrl_c_is_one_sentence_and_exit_code_130(demo, check, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("datamodules.check.run.check_files", interrupt)
    code, _, err, report = check(demo / "data")
    assert (code, report) == (130, None)
    assert err == "Interrupted; the same command continues where this one stopped.\n"
