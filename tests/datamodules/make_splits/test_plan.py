"""Drawn splits: what is in them, that they are the same everywhere, and that a data module reads them."""

import hashlib
import json
import random
import shutil

import pytest

from datamodules.datasets.folder import FolderDataModule
from datamodules.datasets.hmdb51 import HMDB51DataModule
from datamodules.errors import DataError
from datamodules.make_splits.plan import DataSource, SplitPlan, draw_lists, halve_classes
from datamodules.make_splits.source import read_source
from datamodules.make_splits.write import list_text, write_lists
from datamodules.splits.class_names import read_class_names
from datamodules.splits.split import Entry, Split, read_list_file

NAMES = ["brush hair", "cartwheel", "draw sword", "ride bike", "shake hands"]
PLAN = SplitPlan(seed=7, shots=(2, 4), base_shots=3, base_lists=2)
LISTS, HALVES = "datasets_splits/hmdb_splits", "datasets_splits/base2novel_splits/hmdb_splits"


def entries(part, count):
    return [Entry(f"{name.replace(' ', '_')}/{part} {n}.avi", y) for y, name in enumerate(NAMES) for n in range(count)]


@pytest.fixture
def source(tmp_path):
    annotations = tmp_path / "annotations.txt"
    annotations.write_bytes(b"whatever says so")
    train, test = Split(entries("train", 6), (annotations,)), Split(entries("test", 2), (annotations,))
    halves = HMDB51DataModule.other_settings["base_to_novel"]
    return DataSource("hmdb51", HMDB51DataModule.published, halves, 1, NAMES, train, test)


def test_smaller_shots_lie_inside_larger_ones(source):
    lists = draw_lists(source, PLAN)
    two, four = (lists[f"{LISTS}/train1_few_shot_{shots}.txt"].entries for shots in (2, 4))
    assert set(two) < set(four) < set(source.train.entries)
    assert [entry.label for entry in two] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert len(four) == 20


def test_halves_part_the_classes_and_count_from_0(source):
    lists = draw_lists(source, PLAN)
    base, novel = lists[f"{HALVES}/base_val.txt"], lists[f"{HALVES}/novel_val.txt"]
    assert (len(base.class_names), len(novel.class_names)) == (3, 2)
    assert sorted(base.class_names + novel.class_names) == NAMES
    for half in (base, novel):
        named = {
            (entry.name.partition("/")[0].replace("_", " "), half.class_names[entry.label]) for entry in half.entries
        }
        assert named == {(name, name) for name in half.class_names}
    assert len(base.entries) + len(novel.entries) == len(source.test.entries)


def test_base_lists_hold_base_classes_only_and_differ(source):
    lists = draw_lists(source, PLAN)
    whole = set(lists[f"{HALVES}/base_train.txt"].entries)
    first, second = (lists[f"{HALVES}/fs_base_s{number}_train.txt"].entries for number in (1, 2))
    assert set(first) < whole and set(second) < whole and set(first) != set(second)
    assert [entry.label for entry in first] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_draw_depends_on_the_seed_and_not_on_the_order_of_the_clips(source):
    drawn = draw_lists(source, PLAN)
    random.Random(0).shuffle(source.train.entries)
    random.Random(1).shuffle(source.test.entries)
    assert draw_lists(source, PLAN) == drawn
    assert draw_lists(source, SplitPlan(8, PLAN.shots, True, 3, 2)) != drawn


def test_draw_is_the_same_on_any_machine(source):
    text = "".join(file + list_text(found.entries) for file, found in draw_lists(source, PLAN).items())
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "b5acd5c76f28360ccc4e1f0ec57a0e34ed7cb0895798b0f0ad54873a3f0fd820"
    )


def test_halves_do_not_depend_on_how_names_are_spelt_or_ordered():
    base, novel = halve_classes(NAMES, 3)
    spelt = [name.title().replace(" ", "") for name in reversed(NAMES)]
    other_base, other_novel = halve_classes(spelt, 3)
    assert {NAMES[label] for label in base} == {NAMES[4 - label] for label in other_base}
    assert {NAMES[label] for label in novel} == {NAMES[4 - label] for label in other_novel}


def test_manifest_tells_seeds_counts_and_hashes(source, tmp_path):
    manifest = write_lists(tmp_path / "out", source, PLAN, draw_lists(source, PLAN))
    told = json.loads(manifest.read_text())
    assert (told["dataset"], told["drawn"]["seed"], told["num_clips"]) == ("hmdb51", 7, {"train": 30, "test": 10})
    assert told["inputs"] == [{"file": "annotations.txt", "sha256": hashlib.sha256(b"whatever says so").hexdigest()}]
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert written == {*told["outputs"], manifest.name}
    for file, found in told["outputs"].items():
        assert hashlib.sha256((tmp_path / "out" / file).read_bytes()).hexdigest() == found["sha256"]


def test_nothing_is_overwritten(source, tmp_path):
    lists = draw_lists(source, PLAN)
    there = tmp_path / LISTS / "val1.txt"
    there.parent.mkdir(parents=True)
    there.write_text("mine")
    with pytest.raises(DataError, match=r"1 of the .*val1\.txt; they are not overwritten"):
        write_lists(tmp_path, source, PLAN, lists)
    assert there.read_text() == "mine"
    assert [path for path in (tmp_path / "datasets_splits").rglob("*.txt")] == [there]


def test_another_split_goes_beside_the_first_with_its_label_file(source, tmp_path):
    write_lists(tmp_path, source, PLAN, draw_lists(source, PLAN))
    second = DataSource(**{**vars(source), "split": 2})
    plan = SplitPlan(7, (2,), base_novel=False)
    manifest = write_lists(tmp_path, second, plan, draw_lists(second, plan))
    assert manifest.name == "manifest_hmdb51_split2.json"
    (tmp_path / "labels" / "hmdb_51_labels.csv").write_text("id,name\n0,another\n")
    third = DataSource(**{**vars(source), "split": 3})
    with pytest.raises(DataError, match="hmdb_51_labels"):
        write_lists(tmp_path, third, plan, draw_lists(third, plan))


def test_what_fails_on_the_way_is_taken_back(source, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "labels").write_text("a file where a directory should be")
    with pytest.raises(OSError):
        write_lists(folder, source, PLAN, draw_lists(source, PLAN))
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["labels"]


@pytest.mark.parametrize(
    "plan, sentence",
    [
        (SplitPlan(shots=(7,)), r"'brush hair' has 6 training clips, fewer than the 7 .* --shots"),
        (SplitPlan(shots=(), base_shots=9), "has 6 training clips, fewer than the 9 .* --base_shots"),
    ],
)
def test_raises_on_too_few_clips(source, plan, sentence):
    with pytest.raises(DataError, match=sentence):
        draw_lists(source, plan)


@pytest.mark.parametrize("name", ["two\nlines.avi", " blank.avi", "blank.avi ", "odd\u2028line.avi"])
def test_raises_on_a_name_that_no_list_file_can_hold(source, name):
    source.test.entries.append(Entry(name, 0))
    with pytest.raises(DataError, match="rename it"):
        draw_lists(source, PLAN)


def test_raises_on_lists_that_the_data_set_does_not_have(source):
    without = DataSource(**{**vars(source), "halves": {}})
    with pytest.raises(DataError, match="--base_novel"):
        draw_lists(without, PLAN)
    with pytest.raises(DataError, match="fewer than two classes"):
        halve_classes(["alone"], 0)


@pytest.fixture
def hmdb_root(tmp_path):
    root = tmp_path / "hmdb"
    for name in NAMES:
        folder = root / name.replace(" ", "_")
        folder.mkdir(parents=True)
        clips = [f"{folder.name} {n}.avi" for n in range(5)]
        for clip in clips:
            (folder / clip).write_bytes(b"RIFF\0")
        parts = "".join(f"{clip} {1 if n < 3 else 2}\n" for n, clip in enumerate(clips))
        (root / f"{folder.name}_test_split1.txt").write_text(parts)
    return root


def test_data_module_reads_what_was_written(hmdb_root, tmp_path):
    plan = SplitPlan(seed=1024, shots=(1, 2), base_shots=2, base_lists=2)
    source = read_source(HMDB51DataModule(str(hmdb_root)))
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


def test_whole_lists_hold_every_clip(hmdb_root, tmp_path):
    source = read_source(HMDB51DataModule(str(hmdb_root), num_shots=1, setting="base_to_novel"))
    plan = SplitPlan(shots=(), base_novel=False)
    write_lists(tmp_path / "out", source, plan, draw_lists(source, plan))
    assert len(read_list_file(tmp_path / "out" / LISTS / "train1.txt").entries) == 15
    assert len(read_list_file(tmp_path / "out" / LISTS / "val1.txt").entries) == 10
    assert read_class_names(tmp_path / "out" / "labels" / "hmdb_51_labels.csv") == NAMES


def test_class_folders_are_known_in_the_manifest_by_their_clips(hmdb_root, tmp_path):
    plan, hashes = SplitPlan(shots=(1,), base_novel=False), []
    for number in range(2):
        root = shutil.copytree(hmdb_root, tmp_path / f"copy{number}")
        (root / "more").mkdir()
        for clip in range(2 + number):
            (root / "more" / f"{clip}.avi").write_bytes(b"RIFF\0")
        source = read_source(FolderDataModule(str(root)))
        manifest = write_lists(tmp_path / f"lists{number}", source, plan, draw_lists(source, plan))
        hashes += json.loads(manifest.read_text())["inputs"]
    assert [found["file"] for found in hashes] == ["names of the clips"] * 2
    assert hashes[0] != hashes[1]
