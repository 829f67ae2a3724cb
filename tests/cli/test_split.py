"""`tcclip split` as typed by a user."""

import json

import pytest

from tc_clip_pl.cli import main

FEW = "datasets_splits/hmdb_splits"


def split(demo, *argv):
    options = ["--shots", "2,4", "--base_shots", "2", "--output_dir", "lists", *argv]
    return "split", "--data", "HMDB51DataModule", "--data.root", demo / "data", *options


def test_written_lists_are_printed_and_can_be_read(demo, demo_config, run):
    code, out, err = run(*split(demo), on_demo=False)
    assert (code, err) == (0, "")
    assert {"train1_few_shot_2.txt", "fs_base_s3_train.txt"} <= set(out.split())  # not wrapped
    assert "datasets_splits/base2novel_splits/hmdb_splits/" in out
    assert out.splitlines()[-1] == "To use them: --data.splits_dir lists"
    with open("lists/manifest_hmdb51_split1.json") as file:
        assert json.load(file)["drawn"]["seed"] == 1024
    argv = ("check", "--config", demo_config, "--data.root", demo / "data", "--data.splits_dir", "lists")
    for setting in ((), ("--data.setting", "base_to_novel", "--data.split", "3")):
        shots = ("--data.num_shots", "2", "--level", "presence")
        assert run(*argv, *shots, *setting, on_demo=False)[0] == 0


def test_existing_lists_are_not_overwritten(demo, run):
    assert run(*split(demo), on_demo=False)[0] == 0
    with open(f"lists/{FEW}/train1_few_shot_2.txt") as file:
        before = file.read()
    code, _, err = run(*split(demo, "--seed", "5"), on_demo=False)
    assert code == 1 and "not overwritten" in err
    with open(f"lists/{FEW}/train1_few_shot_2.txt") as file:
        assert file.read() == before


def test_another_split_can_be_added_without_halves(demo, run):
    run(*split(demo), on_demo=False)
    code, out, err = run(*split(demo, "--data.split", "2"), on_demo=False)
    assert (code, err) == (0, "")
    assert "train2_few_shot_4.txt" in out and "base2novel" not in out


def test_draws_only_what_is_asked_for(demo, run):
    code, out, _ = run(*split(demo, "--shots", "none", "--base_novel", "false"), on_demo=False)
    assert code == 0 and "few_shot" not in out and "base2novel" not in out and "train1.txt" in out


@pytest.mark.parametrize(
    "argv, message",
    [
        (("--shots", "2,x"), "--shots is '2,x'"),
        (("--shots", "0"), "--shots is '0'"),
        (("--shots", "9"), "fewer than the 9 shots asked for; set --shots to 4 or less"),
        (("--base_lists", "0"), "--base_lists is 0"),
        (("--output_dir", ""), "No output directory is given"),
        (("--seeds", "3"), "no configuration key seeds"),
        (("--data.root", "nowhere"), "nowhere does not exist"),
    ],
)
def test_mistakes_are_explained_in_one_sentence(demo, run, argv, message):
    code, _, err = run(*split(demo, *argv), on_demo=False)
    assert code == 1
    assert message in err and "Traceback" not in err


def test_a_suite_cannot_be_split(demo, run):
    tests = f"{{a: {{class_path: datamodules.HMDB51DataModule, init_args: {{root: {demo}/data}}}}}}"
    argv = ("split", "--data", "EvaluationSuite", "--data.tests", tests, "--output_dir", "lists")
    code, _, err = run(*argv, on_demo=False)
    assert code == 1 and "EvaluationSuite is not a single dataset" in err


def test_help_fits_on_a_screen(capsys):
    assert main(["split", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 30 and max(map(len, lines)) <= 80
