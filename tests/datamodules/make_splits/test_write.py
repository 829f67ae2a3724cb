"""Written splits: nothing is overwritten, the manifest documents them, and a data module reads them."""

import hashlib
import json
import shutil
from dataclasses import replace

import pytest

from datamodules.datasets.folder import FolderDataModule
from datamodules.datasets.hmdb51 import HMDB51DataModule
from datamodules.errors import DataError
from datamodules.make_splits.plan import SplitPlan, draw_lists
from datamodules.make_splits.source import read_source
from datamodules.make_splits.write import write_lists
from datamodules.splits.class_names import read_class_names
from datamodules.splits.list_files import read_list_file

LISTS = "datasets_splits/hmdb_splits"


def test_manifest_has_seeds_counts_and_hashes(source, tmp_path, plan):
    manifest = write_lists(tmp_path / "out", source, plan, draw_lists(source, plan))
    content = json.loads(manifest.read_text())
    assert (content["dataset"], content["drawn"]["seed"], content["num_clips"]) == (
        "hmdb51",
        7,
        {"train": 30, "test": 10},
    )
    assert content["inputs"] == [{"file": "annotations.txt", "sha256": hashlib.sha256(b"any annotations").hexdigest()}]
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert written == {*content["outputs"], manifest.name}
    for file, found in content["outputs"].items():
        assert hashlib.sha256((tmp_path / "out" / file).read_bytes()).hexdigest() == found["sha256"]


def test_nothing_is_overwritten(source, tmp_path, plan):
    lists = draw_lists(source, plan)
    existing = tmp_path / LISTS / "val1.txt"
    existing.parent.mkdir(parents=True)
    existing.write_text("mine")
    with pytest.raises(DataError, match=r"1 of the .*val1\.txt\) and are not overwritten"):
        write_lists(tmp_path, source, plan, lists)
    assert existing.read_text() == "mine"
    assert [path for path in (tmp_path / "datasets_splits").rglob("*.txt")] == [existing]


def test_splits_in_one_directory_share_their_label_file(source, tmp_path, plan):
    write_lists(tmp_path, source, plan, draw_lists(source, plan))
    second = replace(source, split=2)
    plan = SplitPlan(7, (2,), base_novel=False)
    manifest = write_lists(tmp_path, second, plan, draw_lists(second, plan))
    assert manifest.name == "manifest_hmdb51_split2.json"
    (tmp_path / "labels" / "hmdb_51_labels.csv").write_text("id,name\n0,another\n")
    third = replace(source, split=3)
    with pytest.raises(DataError, match="hmdb_51_labels"):
        write_lists(tmp_path, third, plan, draw_lists(third, plan))


def test_a_failure_leaves_no_list_behind(source, tmp_path, plan):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "labels").write_text("a file where a directory should be")
    with pytest.raises(OSError):
        write_lists(folder, source, plan, draw_lists(source, plan))
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["labels"]


def test_a_data_module_reads_what_was_written(hmdb_root, tmp_path):
    plan = SplitPlan(seed=1024, shots=(1, 2), base_shots=2, base_lists=2)
    source = read_source(HMDB51DataModule(str(hmdb_root)).request)
    write_lists(tmp_path / "out", source, plan, draw_lists(source, plan))
    given = {"root": str(hmdb_root), "num_shots": 2}
    for setting in ({}, {"setting": "base_to_novel"}, {"setting": "base_to_novel", "split": 2}):
        own = HMDB51DataModule(**given, **setting)
        read = HMDB51DataModule(**given, **setting, splits_dir=str(tmp_path / "out"))
        for data in (own, read):
            data.setup()
        assert read.class_names == own.class_names
        assert [entry.class_names for entry in read.test_sets] == [entry.class_names for entry in own.test_sets]
        assert set(read.datasets["train"].records) == set(own.datasets["train"].records)
        for found, expected in zip(read.test_datasets, own.test_datasets, strict=True):
            assert set(found.records) == set(expected.records)


def test_whole_lists_have_every_clip(hmdb_root, tmp_path, names):
    source = read_source(HMDB51DataModule(str(hmdb_root), num_shots=1, setting="base_to_novel").request)
    plan = SplitPlan(shots=(), base_novel=False)
    write_lists(tmp_path / "out", source, plan, draw_lists(source, plan))
    assert len(read_list_file(tmp_path / "out" / LISTS / "train1.txt").entries) == 15
    assert len(read_list_file(tmp_path / "out" / LISTS / "val1.txt").entries) == 10
    assert read_class_names(tmp_path / "out" / "labels" / "hmdb_51_labels.csv") == names


def test_class_folders_are_recorded_by_their_clips(hmdb_root, tmp_path):
    plan, hashes = SplitPlan(shots=(1,), base_novel=False), []
    for number in range(2):
        root = shutil.copytree(hmdb_root, tmp_path / f"copy{number}")
        (root / "more").mkdir()
        for clip in range(2 + number):
            (root / "more" / f"{clip}.avi").write_bytes(b"RIFF\0")
        source = read_source(FolderDataModule(str(root)).request)
        manifest = write_lists(tmp_path / f"lists{number}", source, plan, draw_lists(source, plan))
        hashes += json.loads(manifest.read_text())["inputs"]
    assert [found["file"] for found in hashes] == ["names of the clips"] * 2
    assert hashes[0] != hashes[1]
