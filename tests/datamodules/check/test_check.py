"""The check of a dataset: every kind of problem is found, all at once, and good files are read only once."""

import json
import multiprocessing
import os
import time
from functools import partial
from types import SimpleNamespace

import pytest

from datamodules.check.cache import CheckCache, Version, default_cache_file
from datamodules.check.clips import build_inspection, inspect_files
from datamodules.check.lists import read_lists
from datamodules.check.run import CheckSettings, check_files
from datamodules.datasets.hmdb51 import HMDB51DataModule
from datamodules.errors import DataError
from datamodules.suite import EvaluationSuite

NAMES = ("run", "walk")
TRAIN = ["run/r0.avi 0", "run/r1.avi 0", "walk/w0.avi 1", "walk/w1.avi 1"]
TEST = ["run/r2.avi 0", "run/r3.avi 0", "walk/w2.avi 1", "walk/w3.avi 1"]


@pytest.fixture
def tree(tmp_path):
    """A correct dataset: two classes, existing files that are not empty, published lists."""
    root, splits = tmp_path / "root", tmp_path / "splits"
    for line in TRAIN + TEST:
        clip = root / line.rpartition(" ")[0]
        clip.parent.mkdir(parents=True, exist_ok=True)
        clip.write_bytes(b"RIFF\0")
    lists = splits / "datasets_splits" / "hmdb_splits"
    lists.mkdir(parents=True)
    (splits / "labels").mkdir()
    (splits / "labels" / "hmdb_51_labels.csv").write_text("id,name\n0,run\n1,walk\n")

    def write(train=TRAIN, test=TEST):
        (lists / "train1.txt").write_text("\n".join(train))
        (lists / "val1.txt").write_text("\n".join(test))
        return HMDB51DataModule(str(root), str(splits))

    return SimpleNamespace(root=root, splits=splits, write=write)


def settings(tmp_path, level="presence", **changes):
    return CheckSettings(
        **{"level": level, "num_frames": 4, "decoder": "auto", "num_workers": 2} | changes,
        cache_file=tmp_path / "cache.jsonl",
    )


def problems(data, tmp_path, **changes):
    report = check_files(read_lists(data.requests), settings(tmp_path, **changes))
    return {(checked.name, found.kind, found.subject) for checked in report.lists for found in checked.problems}


def test_correct_dataset_has_no_problems(tree, tmp_path):
    report = check_files(read_lists(tree.write().requests), settings(tmp_path))
    assert not report.errors
    assert [checked.problems for checked in report.lists] == [[], []]
    assert report.num_files == 8
    content = report.as_dict()
    assert content["ok"]
    assert [checked["clips_per_class"] for checked in content["lists"]] == [{"run": 2, "walk": 2}] * 2
    assert [(checked["num_errors"], checked["num_warnings"]) for checked in content["lists"]] == [(0, 0)] * 2
    json.dumps(content)


def test_reports_every_problem_of_every_list(tree, tmp_path):
    (tree.root / "run" / "r0.avi").unlink()
    (tree.root / "run" / "r2.avi").unlink()
    (tree.root / "walk" / "w0.avi").write_bytes(b"")
    (tree.root / "walk" / "gone.avi").symlink_to(tree.root / "nowhere.avi")
    for folder in ("a", "b"):
        (tree.root / folder).mkdir()
        (tree.root / folder / "twin.avi").write_bytes(b"RIFF\0")
    data = tree.write(
        [*TRAIN, "walk/w1.avi 1", "w0.avi 1", "walk/gone.avi 1", "walk/w2.avi 1"],
        [*TEST, "no label.avi", "run/r1.avi x", "twin.avi 0", "run/r1.avi 7", "gone.avi 2"],
    )
    list_file = tree.splits / "datasets_splits" / "hmdb_splits" / "val1.txt"
    test = "hmdb51/split1"
    assert problems(data, tmp_path) == {
        ("train", "missing", "run/r0.avi"),
        ("train", "empty", "walk/w0.avi"),
        ("train", "repeated", "walk/w1.avi"),
        ("train", "repeated", "w0.avi"),
        ("train", "unreadable", "walk/gone.avi"),
        (test, "missing", "run/r2.avi"),
        (test, "line", f"{list_file}, line 5"),
        (test, "line", f"{list_file}, line 6"),
        (test, "ambiguous", "twin.avi"),
        (test, "label", "run/r1.avi"),
        (test, "label", "gone.avi"),
        (test, "leaked", "walk/w2.avi"),
        (test, "leaked", "run/r1.avi"),
        (test, "leaked", "walk/gone.avi"),
        (test, "unreadable", "walk/gone.avi"),
    }


def test_classes_without_clips(tree, tmp_path):
    data = tree.write(TRAIN[:2], ["run/r2.avi 0"])
    found = problems(data, tmp_path)
    assert {("train", "no clips", "walk"), ("hmdb51/split1", "untested", "walk")} < found
    assert {kind for _, kind, _ in found} == {"no clips", "untested", "list"}  # training refuses such a list as well


def test_a_few_clips_in_other_folders_are_a_warning_but_most_are_an_error(tree, tmp_path):
    few = check_files(read_lists(tree.write(test=[*TEST[:3], "walk/w3.avi 0"]).requests), settings(tmp_path))
    assert [found.kind for checked in few.lists for found in checked.problems] == ["folder"]
    assert not few.errors
    swapped = [f"{line[:-1]}{1 - int(line[-1])}" for line in TEST]
    most = check_files(read_lists(tree.write(test=swapped).requests), settings(tmp_path))
    assert most.errors


def test_a_missing_list_does_not_hide_the_others(tree, tmp_path):
    data = tree.write()
    (tree.splits / "datasets_splits" / "hmdb_splits" / "train1.txt").unlink()
    (tree.root / "run" / "r2.avi").unlink()
    assert {found[:2] for found in problems(data, tmp_path)} == {("train", "list"), ("hmdb51/split1", "missing")}


def test_bad_clips_are_warnings_if_a_run_skips_them(tree, tmp_path):
    (tree.root / "run" / "r0.avi").unlink()
    lists = read_lists(tree.write().requests)
    assert check_files(lists, settings(tmp_path)).errors
    assert not check_files(lists, settings(tmp_path, skip_bad_clips=True)).errors


def test_raises_on_wrong_settings_and_missing_roots(tree, tmp_path):
    tree.write()
    with pytest.raises(DataError, match="num_frames"):
        read_lists(HMDB51DataModule(str(tree.root), num_frames=0).requests)
    with pytest.raises(DataError, match="does not exist"):
        read_lists(HMDB51DataModule(str(tmp_path / "nowhere"), str(tree.splits)).requests)


def test_checks_all_datasets_of_a_suite(tree, tmp_path):
    data = tree.write()
    suite = EvaluationSuite({"hmdb": HMDB51DataModule(str(tree.root))}, data, splits_dir=str(tree.splits))
    assert [checked.name for checked in read_lists(suite.requests)] == ["train", "hmdb51/split1", "hmdb51/split1"]
    assert len(read_lists(EvaluationSuite(suite.tests, splits_dir=str(tree.splits)).requests)) == 1


def test_a_missing_dataset_of_a_suite_does_not_hide_the_others(tree, tmp_path):
    (tree.root / "run" / "r2.avi").unlink()
    suite = EvaluationSuite({"gone": HMDB51DataModule(str(tmp_path / "nowhere"))}, tree.write())
    assert problems(suite, tmp_path) >= {("hmdb51/split1", "missing", "run/r2.avi")}
    report = check_files(read_lists(suite.requests), settings(tmp_path))
    assert "does not exist" in report.lists[-1].problems[0].subject


@pytest.fixture
def damaged(tree, videos):
    """The same with files of all sorts in the training list: a good video, a short one, a truncated one, and a text."""
    long = videos.write(tree.root / "run" / "r0.avi", 30, codec="mpeg4")
    videos.write(tree.root / "run" / "r1.avi", 3, codec="mpeg4")
    (tree.root / "walk" / "w0.avi").write_bytes(long.read_bytes()[:-1200])
    (tree.root / "walk" / "w1.avi").write_text("<html>not found</html>")
    tree.write(test=["run/r0.avi 0", "run/r1.avi 0"])
    return tree


@pytest.mark.parametrize("level, bad", [("header", {"w1.avi"}), ("decode", {"w0.avi", "w1.avi"})])
def test_files_are_opened_or_decoded(damaged, tmp_path, level, bad):
    lists = read_lists(HMDB51DataModule(str(damaged.root), str(damaged.splits)).requests)
    steps = []
    report = check_files(lists, settings(tmp_path, level), lambda done, total: steps.append((done, total)))
    train = report.lists[0].problems
    assert {found.subject.rpartition("/")[2] for found in train if found.kind == "undecodable"} == bad
    assert [(found.subject, found.detail) for found in train if found.kind == "short"] == [
        ("run/r1.avi", "3 of 4 frames")
    ]
    assert "short" in {found.kind for found in report.lists[1].problems}
    assert steps == [(done, 4) for done in range(5)]


def test_threads_find_what_processes_find(damaged, tmp_path):
    def check(num_workers):
        lists = read_lists(HMDB51DataModule(str(damaged.root), str(damaged.splits)).requests)
        cache = tmp_path / str(num_workers)
        cache.mkdir()
        report = check_files(lists, settings(cache, "header", num_workers=num_workers))
        return [sorted(checked.problems) for checked in report.lists], (cache / "cache.jsonl").read_text().count("\n")

    assert check(num_workers=0) == check(num_workers=2)


def test_a_cache_that_cannot_be_written_is_one_warning(damaged, tmp_path):
    lists = read_lists(HMDB51DataModule(str(damaged.root), str(damaged.splits)).requests)
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match=r"^The cache .*file/cache.jsonl cannot be written") as noted:
        report = check_files(lists, settings(tmp_path / "file", "header", num_workers=0))
    assert len(noted) == 1
    assert "undecodable" in {found.kind for found in report.errors}


def test_good_files_are_cached_until_they_change(damaged, tmp_path):
    def check():
        lists = read_lists(HMDB51DataModule(str(damaged.root), str(damaged.splits)).requests)
        return check_files(lists, settings(tmp_path, "header"))

    first, second = check(), check()
    assert (first.num_cached, second.num_cached) == (0, 3)
    assert [checked.problems for checked in first.lists] == [checked.problems for checked in second.lists]
    os.utime(damaged.root / "run" / "r0.avi", ns=(1, 1))
    assert check().num_cached == 2


def test_cache_separates_inspections_and_ignores_an_incomplete_line(tmp_path):
    file, version = tmp_path / "deep" / "cache.jsonl", Version(10, 20)
    CheckCache(file, "header").add("/a", version, 7)
    with file.open("a") as stream:
        stream.write('["header", "/b", 1')
    cache = CheckCache(file, "header")
    assert cache.find("/a", version) == (7,)
    assert cache.find("/a", Version(10, 21)) is None
    assert cache.find("/b", Version(1, 1)) is None
    assert CheckCache(file, "decode").find("/a", version) is None


def test_decoded_files_need_no_reading_of_their_headers(damaged, tmp_path):
    def check(level):
        lists = read_lists(HMDB51DataModule(str(damaged.root), str(damaged.splits)).requests)
        return check_files(lists, settings(tmp_path, level)).num_cached

    assert check("decode") == 0
    assert check("header") == 2  # of three with a good header, one is cut off
    assert check("decode") == 2


def test_default_cache_is_in_the_users_cache_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_file() == tmp_path / "tcclip" / "check.jsonl"


def test_a_file_that_crashes_its_process_does_not_stop_the_others(tmp_path, monkeypatch):
    (tmp_path / "crashing.py").write_text(
        "import os\n"
        "from datamodules.check.clips import Finding\n"
        "def inspect(path):\n"
        "    if path == 'clip 3':\n"
        "        os._exit(1)\n"
        "    if path == 'clip 4':\n"
        "        raise MemoryError('too large')\n"
        "    return Finding(9)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import crashing

    monkeypatch.setattr("datamodules.check.clips.CHUNK_SIZE", 2)
    paths = [f"clip {number}" for number in range(8)]
    found = dict(inspect_files(paths, crashing.inspect, num_workers=1))
    assert sorted(found) == paths
    bad = {path: finding.detail for path, finding in found.items() if finding.kind == "undecodable"}
    assert bad == {"clip 3": "crashes the decoder", "clip 4": "MemoryError: too large"}


def test_presence_opens_nothing():
    assert build_inspection("presence", 16, "auto") is None
    assert isinstance(build_inspection("decode", 16, "auto"), partial)


def test_a_single_class_cannot_be_trained(tree, tmp_path):
    data = tree.write(TRAIN[:2], TEST[:2])
    (tree.splits / "labels" / "hmdb_51_labels.csv").write_text("id,name\n0,run\n")
    found = {name: sentence for name, kind, sentence in problems(data, tmp_path) if kind == "list"}
    assert found.keys() == {"train", "hmdb51/split1"}
    assert found["train"].startswith("Only one class, 'run', is in")
    with pytest.raises(DataError) as refused:  # by `tcclip fit`, in the same words
        data.setup("fit")
    assert str(refused.value) == found["train"]


def test_every_missing_clip_is_reported(tree, tmp_path):
    for line in TRAIN[:3] + TEST[:3]:
        (tree.root / line.rpartition(" ")[0]).unlink()
    assert len({found for found in problems(tree.write(), tmp_path) if found[1] == "missing"}) == 6


def test_ctrl_c_ends_the_processes_at_once(tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text(
        "import time\n"
        "from datamodules.check.clips import Finding\n"
        "def inspect(path):\n"
        "    time.sleep(60 if path == 'slow' else 0)\n"
        "    return Finding(9)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import slow

    monkeypatch.setattr("datamodules.check.clips.CHUNK_SIZE", 1)
    found = inspect_files(["quick", "slow"], slow.inspect, num_workers=2)
    assert next(found) == ("quick", (9, None, ""))
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        found.throw(KeyboardInterrupt)
    assert time.monotonic() - start < 30
    assert not multiprocessing.active_children()
