"""`tcclip fit` reads the header of every clip first: damaged clips, also of the test, do not wait for their turn."""

import json
import os
import shutil

import pytest

from datamodules import EvaluationSuite, HMDB51DataModule
from datamodules.errors import DataError
from tc_clip_pl.cli import clip_check
from tc_clip_pl.cli.clip_check import check_clips


@pytest.fixture
def root(demo, tmp_path):
    """A copy of the demo's dataset, whose files may be damaged."""
    return shutil.copytree(demo / "data", tmp_path / "data")


@pytest.fixture
def damaged(root):
    """Cut a test clip in the middle; return its name and the dataset."""
    data = HMDB51DataModule(str(root))
    data.setup("fit")
    record = data.test_datasets[0].records[3]
    os.truncate(record.path, os.path.getsize(record.path) // 2)
    return record.video_id, root


def loaded_model(*_, **__):
    raise AssertionError("the model is loaded")


def test_damaged_test_clip_stops_the_run_before_the_model_is_loaded(damaged, run, monkeypatch, tmp_path):
    name, root = damaged
    monkeypatch.setattr("tc_clip_pl.modules.tc_clip.TCCLIP.from_pretrained", loaded_model)
    code, _, err = run("fit", "--data.root", root)
    assert code == 1
    (sentence,) = [line for line in err.splitlines() if line.startswith("tcclip: ")]
    assert sentence.startswith("tcclip: 1 of the 60 clips cannot be read") and name in sentence
    assert "--data.on_bad_video skip" in sentence and "tcclip check" in sentence
    assert not (tmp_path / "outputs").exists()


def test_single_class_is_refused_before_the_model_is_loaded(root, run, monkeypatch, tmp_path):
    monkeypatch.setattr("tc_clip_pl.modules.tc_clip.TCCLIP.from_pretrained", loaded_model)
    folder = next(path for path in (root / "videos").iterdir())
    shutil.copytree(folder, tmp_path / "one" / folder.name)
    code, _, err = run("fit", "--data", "FolderDataModule", "--data.root", "one")
    assert code == 1
    assert f"tcclip: Only one class, '{folder.name.replace('_', ' ')}', is in one; at least 2" in err


def test_skipped_clips_are_announced_and_reported_after_the_run(damaged, run, tmp_path, recwarn):
    name, root = damaged
    short = ("--trainer.limit_train_batches", 1, "--trainer.limit_val_batches", 0, "--ensembling.weights", 1)
    code, _, err = run("fit", "--data.root", root, "--data.on_bad_video", "skip", *short)
    assert code == 0, err
    assert [name in str(note.message) for note in recwarn if "will be skipped" in str(note.message)] == [True]
    (path,) = tmp_path.rglob("results.json")
    assert [clip.partition(": ")[0] for clip in json.loads(path.read_text())["skipped_clips"]] == [name]


def test_check_can_be_turned_off(damaged, run, monkeypatch):
    _, root = damaged
    monkeypatch.setattr(clip_check, "check_files", loaded_model)
    monkeypatch.setattr("tc_clip_pl.cli.experiment.TCCLIPCLI.fit", lambda *_, **__: None)
    assert run("fit", "--data.root", root, "--check_clips", "false")[0] == 0


def test_says_how_long_it_took_and_remembers_good_clips(root, caplog, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for end in ("s.", "s (60 of them earlier)."):
        caplog.clear()
        with caplog.at_level("INFO"):
            check_clips(HMDB51DataModule(str(root)))
        (message,) = [record.message for record in caplog.records if record.message.startswith("Checked")]
        assert message.startswith("Checked 60 clips in 0.") and message.endswith(end)


def test_checks_every_dataset_of_a_suite(damaged, demo):
    name, root = damaged
    suite = EvaluationSuite({"bad": HMDB51DataModule(str(root))}, HMDB51DataModule(str(demo / "data")))
    with pytest.raises(DataError, match=rf"^1 of the 80 clips .*{name}"):
        check_clips(suite)


def test_skipping_must_leave_a_clip(root):
    data = HMDB51DataModule(str(root), on_bad_video="skip")
    data.setup("fit")
    for record in data.datasets["train"].records:
        os.truncate(record.path, os.path.getsize(record.path) // 2)
    with pytest.raises(DataError, match=r"^None of the 40 clips of train can be read"):
        check_clips(HMDB51DataModule(str(root), on_bad_video="skip"))


def test_only_the_first_process_reads(damaged, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    check_clips(HMDB51DataModule(str(damaged[1])))
