"""`tcclip check` as a user types it."""

import json
import shutil

import pytest

from tc_clip_pl.cli import main


@pytest.fixture
def check(run, tmp_path):
    """Runs `tcclip check` with a cache of its own; gives exit code, output, error output and report."""

    def check(root, *words):
        places = (
            "--data.root",
            root,
            "--cache",
            tmp_path / "cache.jsonl",
            "--report",
            tmp_path / "new" / "report.json",
        )
        code, out, err = run("check", "--config", "demo", *places, *words, on_demo=False)
        report = tmp_path / "new" / "report.json"
        return code, out, err, json.loads(report.read_text()) if report.exists() else None

    return check


@pytest.fixture
def damaged(demo, tmp_path):
    root = shutil.copytree(demo / "data", tmp_path / "damaged")
    clips = sorted(root.glob("*/*.mp4"))
    clips[0].unlink()
    clips[1].write_bytes(b"")
    clips[2].write_text("an error page [with brackets]")
    return root


def test_a_good_data_set(demo, check):
    code, out, err, report = check(demo / "data", "--num_workers", "2")
    assert (code, err) == (0, "")
    assert "No trouble: 48 files checked (level decode)." in out
    assert report["ok"] and [found["num_clips"] for found in report["lists"]] == [32, 16]
    out = check(demo / "data", "--data.num_frames", "99", "--level", "header")[1]
    assert "Warning in train: clip shorter than a view (32)" in out and "and 27 more" in out
    assert "48 of them known from an earlier check" in check(demo / "data", "--num_workers", "2")[1]


def test_trouble_is_told_and_ends_with_1(damaged, check):
    code, out, err, report = check(damaged, "--level", "header")
    assert (code, err) == (1, "")
    assert not report["ok"]
    assert out.count("missing file (1)") == 2  # in its list, and in the verdict
    found = {kind for checked in report["lists"] for kind in checked["problems"]}
    assert found == {"missing", "empty", "undecodable"}


def test_trouble_that_a_run_skips_is_a_warning(damaged, check):
    code, out, _, _ = check(damaged, "--level", "presence", "--data.on_bad_video", "skip")
    assert code == 0 and "Warning in" in out and "No trouble" in out


@pytest.mark.parametrize(
    "words, sentence",
    [
        (("--level", "full"), "invalid choice: 'full'"),
        (("--num_workers", "0"), "--num_workers is 0"),
        (("--data.rot", "x"), "did you mean data.root?"),
        (("--data.root", "nowhere"), "nowhere does not exist"),
        (("--data", "HMDB51DataModul"), "no data module HMDB51DataModul "),
    ],
)
def test_mistakes_are_one_sentence(demo, check, words, sentence):
    code, _, err, report = check(demo / "data", *words)
    assert code == 1 and report is None
    assert sentence in err and "Traceback" not in err


def test_data_must_be_named(run):
    code, _, err = run("check", "--data.root", "x", on_demo=False)
    assert code == 1 and "name one by --data" in err and "HMDB51DataModule" in err


def test_broken_configuration(run, tmp_path):
    (tmp_path / "broken.yaml").write_text("data: [")
    code, _, err = run("check", "--config", "broken.yaml", on_demo=False)
    assert code == 1 and "no valid YAML" in err


def test_help_fits_on_a_screen(capsys):
    assert main(["check", "--help"]) == 0
    assert len(capsys.readouterr().out.splitlines()) < 30
