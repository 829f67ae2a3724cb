"""`tcclip split` as a user types it."""

import json

import pytest

from tc_clip_pl.cli import main

FEW = "datasets_splits/hmdb_splits"


def split(demo, *words):
    options = ["--shots", "2,4", "--base_shots", "2", "--output_dir", "lists", *words]
    return "split", "--data", "HMDB51DataModule", "--data.root", demo / "data", *options


def test_lists_are_written_told_and_read_again(demo, run):
    code, out, err = run(*split(demo), on_demo=False)
    assert (code, err) == (0, "")
    assert "train1_few_shot_2.txt" in out and "base2novel_splits" in out.replace("\n", "")
    assert out.splitlines()[-1] == "To use them: --data.splits_dir lists"
    with open("lists/manifest_hmdb51_split1.json") as file:
        assert json.load(file)["drawn"]["seed"] == 1024
    words = ("check", "--config", "demo", "--data.root", demo / "data", "--data.splits_dir", "lists")
    for setting in ((), ("--data.setting", "base_to_novel", "--data.split", "3")):
        shots = ("--data.num_shots", "2", "--level", "presence")
        assert run(*words, *shots, *setting, on_demo=False)[0] == 0


def test_a_second_run_is_refused(demo, run):
    assert run(*split(demo), on_demo=False)[0] == 0
    with open(f"lists/{FEW}/train1_few_shot_2.txt") as file:
        before = file.read()
    code, _, err = run(*split(demo, "--seed", "5"), on_demo=False)
    assert code == 1 and "not overwritten" in err
    with open(f"lists/{FEW}/train1_few_shot_2.txt") as file:
        assert file.read() == before


def test_another_split_goes_into_the_same_directory_without_halves(demo, run):
    run(*split(demo), on_demo=False)
    code, out, err = run(*split(demo, "--data.split", "2"), on_demo=False)
    assert (code, err) == (0, "")
    assert "train2_few_shot_4.txt" in out and "base2novel" not in out


def test_only_what_is_asked_for_is_drawn(demo, run):
    code, out, _ = run(*split(demo, "--shots", "none", "--base_novel", "false"), on_demo=False)
    assert code == 0 and "few_shot" not in out and "base2novel" not in out and "train1.txt" in out


@pytest.mark.parametrize(
    "words, sentence",
    [
        (("--shots", "2,x"), "--shots is '2,x'"),
        (("--shots", "0"), "--shots is '0'"),
        (("--shots", "9"), "fewer than the 9 shots asked for; set --shots to 4 or less"),
        (("--base_lists", "0"), "--base_lists is 0"),
        (("--output_dir", ""), "Where to write is not given"),
        (("--seeds", "3"), "no configuration key seeds"),
        (("--data.root", "nowhere"), "nowhere does not exist"),
    ],
)
def test_mistakes_are_one_sentence(demo, run, words, sentence):
    code, _, err = run(*split(demo, *words), on_demo=False)
    assert code == 1
    assert sentence in err and "Traceback" not in err


def test_a_suite_is_no_data_set_to_draw_from(demo, run):
    tests = f"{{a: {{class_path: datamodules.HMDB51DataModule, init_args: {{root: {demo}/data}}}}}}"
    words = ("split", "--data", "EvaluationSuite", "--data.tests", tests, "--output_dir", "lists")
    code, _, err = run(*words, on_demo=False)
    assert code == 1 and "EvaluationSuite is no single dataset" in err


def test_help_fits_on_a_screen(capsys):
    assert main(["split", "--help"]) == 0
    assert len(capsys.readouterr().out.splitlines()) < 30
