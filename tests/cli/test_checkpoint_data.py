"""A checkpoint is tested on the classes that it was trained on, from any directory."""

import shutil
from pathlib import Path

import pytest

from datamodules import FolderDataModule, UCF101DataModule
from tc_clip_pl.cli.checkpoint_config import record_run
from tc_clip_pl.cli.class_check import check_tested_classes
from tc_clip_pl.training.checkpoint import read_facts

from .conftest import SHORT, TRAINED, sentence


@pytest.fixture
def renamed(demo, tmp_path):
    """The demo's dataset with another name for its first class, in another place."""
    first = sorted(path.name for path in (demo / "data" / "videos").iterdir())[0]
    shutil.copytree(demo / "data", tmp_path / "renamed")
    for path in (tmp_path / "renamed" / "annotations").glob(f"{first}_test*"):
        path.rename(path.with_name(path.name.replace(first, "a_b")))
    return tmp_path / "renamed"


@pytest.mark.parametrize("subcommand", ["test", "validate", "predict"])
def test_other_class_names_of_the_same_dataset_are_refused(last, alone, renamed, subcommand):
    line = sentence(alone(subcommand, last, "--data.root", renamed))
    assert f"Class 0 of hmdb51 is 'a b', but {last} was trained with 'a star moving left" in line


def test_resuming_with_other_class_names_is_refused(last, run, renamed):
    same = [f"--model.config.{name}={value}" for name, value in TRAINED.items()]
    line = sentence(run("fit", "--ckpt_path", last, *same, "--data.root", renamed, "--trainer.max_epochs", 3))
    assert "Class 0 of the data is 'a b', but the resumed checkpoint was trained with 'a star moving left" in line


@pytest.mark.parametrize(
    ("other", "is_noted"),
    [("UCF101DataModule", False), ("FolderDataModule", True)],
)
def test_other_datasets_may_have_other_classes(trained, other, is_noted, tmp_path, caplog):
    facts = read_facts(trained / "checkpoints" / "last.ckpt")
    facts.run["config"]["data"]["class_path"] = "datamodules.FolderDataModule"
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in (1, 2):
            (tmp_path / name / f"{number}.mp4").write_bytes(b"\0" * 99)
    data = FolderDataModule(str(tmp_path)) if is_noted else UCF101DataModule(str(tmp_path))
    check_tested_classes(data, facts, "test")
    assert ("not those trained on" in caplog.text) == is_noted


def test_videos_without_labels_may_have_other_classes(last, alone, demo):
    assert alone("predict", last, "--data.root", demo / "data", "--classes", "red square growing, a")[0] == 0


def test_run_with_a_relative_root_is_tested_from_another_directory(run, alone, demo, tmp_path, monkeypatch):
    (tmp_path / "videos").symlink_to(demo / "data")
    assert run("fit", *SHORT, "--data.root", "videos", "--ensembling.weights", 1)[0] == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, _, err = alone("test", "../outputs/demo/version_0/checkpoints/last.ckpt")
    assert code == 0, err


def test_every_path_of_the_data_is_recorded_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = {"root": "a", "splits_dir": "b", "label_file": None, "labels": "c/d.csv", "train_list": "~/e"}
    train, test = {"init_args": {**paths, "setting": "standard"}}, {"init_args": {"root": "/f"}}
    data = {"class_path": "X", "init_args": {"splits_dir": "b", "train": train, "tests": {"root": test}}}
    recorded = record_run("name", {"data": data}, [])["config"]["data"]["init_args"]
    assert recorded["splits_dir"] == f"{tmp_path}/b" and recorded["tests"]["root"]["init_args"] == {"root": "/f"}
    expected = {"root": f"{tmp_path}/a", "labels": f"{tmp_path}/c/d.csv", "train_list": str(Path.home() / "e")}
    assert recorded["train"]["init_args"] == {**paths, **expected, "splits_dir": f"{tmp_path}/b", "setting": "standard"}


def test_weights_that_training_started_from_are_not_needed_again(last, run, alone, trained, tmp_path):
    shutil.copy(last, tmp_path / "start.ckpt")
    same = [f"--model.config.{name}={value}" for name, value in TRAINED.items()]
    assert run("fit", *SHORT, *same, "--model.init_from", "start.ckpt", "--ensembling.weights", 1)[0] == 0
    (tmp_path / "start.ckpt").unlink()
    code, _, err = alone("test", "outputs/demo/version_0/checkpoints/last.ckpt")
    assert code == 0, err
