"""Clips and annotation files are found in any layout."""

from pathlib import Path

import pytest

from datamodules.errors import DataError
from datamodules.splits.lookup import RootIndex, find_records, scan_root


def test_path_first_then_base_name(tmp_path):
    index = RootIndex(tmp_path, ["x/a.avi", "a.avi", "deep/er/b.avi"])
    assert index.find("x/a.avi") == "x/a.avi"
    assert index.find("a.avi") == "a.avi"
    assert index.find("other/b.avi") == "deep/er/b.avi"
    assert index.find("c.avi") is None


def test_the_root_may_stand_before_a_path(tmp_path):
    index = RootIndex(tmp_path, ["x/a.avi", "y/a.avi"])
    assert index.find(f"{tmp_path}/y/a.avi") == "y/a.avi"


def test_raises_on_an_ambiguous_base_name_naming_both(tmp_path):
    index = RootIndex(tmp_path, ["x/a.avi", "y/a.avi"])
    with pytest.raises(DataError, match=r"x/a\.avi or y/a\.avi"):
        index.find("a.avi")


def test_scan_follows_links_and_stops_at_circles(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir(), elsewhere.mkdir()
    (elsewhere / "a.avi").touch()
    (root / "class").symlink_to(elsewhere)
    (elsewhere / "up").symlink_to(root)
    (root / ".hidden").touch()
    with pytest.warns(UserWarning, match=r"^class/up under .*root leads to a folder that is read already") as noted:
        assert scan_root(root, refresh=True).files == {"class/a.avi"}
    scan_root(root)
    assert len(noted) == 1


def test_folders_that_are_read_already_are_one_warning(tmp_path):
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "a.avi").touch()
    for name in ("up", "other"):
        (tmp_path / "class" / name).symlink_to(tmp_path)
    with pytest.warns(UserWarning, match=r"^class/other under .* \(and 1 more\)") as noted:
        assert scan_root(tmp_path, refresh=True).files == {"class/a.avi"}
    assert len(noted) == 1


def test_matching_by_pattern(tmp_path):
    index = RootIndex(tmp_path, ["s/walk_test_split1.txt", "s/run_test_split1.txt", "s/run_test_split2.txt"])
    assert index.matching("*_test_split1.txt") == ["s/run_test_split1.txt", "s/walk_test_split1.txt"]
    assert index.only("*_split2.txt", "add it") == tmp_path / "s/run_test_split2.txt"
    with pytest.raises(DataError, match=r"Both s/run_test_split1\.txt and s/walk_test_split1\.txt under"):
        index.only("*_split1.txt", "add it")
    with pytest.raises(DataError, match=r"no \*_split3\.txt under .*; add it"):
        index.only("*_split3.txt", "add it")


def test_raises_on_a_bad_root(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name, sentence in {"gone": "does not exist", "empty": "is empty", "file": "is not a directory"}.items():
        with pytest.raises(DataError, match=sentence):
            scan_root(tmp_path / name)


def test_missing_clips_are_counted_and_five_named(split_of, tmp_path):
    (tmp_path / "here.avi").touch()
    split = split_of([("here.avi", 0), *((f"gone{n}.avi", 0) for n in range(7))])
    with pytest.raises(DataError) as error:
        find_records(split, tmp_path)
    assert "7 of the 8 clips" in str(error.value)
    assert "gone4.avi, ...;" in str(error.value) and "gone5.avi" not in str(error.value)


def test_missing_clips_are_skipped_with_a_warning_unless_all_are_missing(split_of, tmp_path):
    (tmp_path / "here.avi").touch()
    with pytest.warns(UserWarning, match=r"1 of the 2 clips in list\.txt .* gone\.avi; they are skipped"):
        records, missing = find_records(split_of([("here.avi", 0), ("gone.avi", 1)]), tmp_path, skip_missing=True)
    assert [record.video_id for record in records] == ["here.avi"] and missing == ["gone.avi"]
    with pytest.raises(DataError, match="1 of the 1 clips"):
        find_records(split_of([("gone.avi", 1)]), tmp_path, skip_missing=True)


def test_clips_added_after_a_failure_are_found(split_of, tmp_path):
    (tmp_path / "here.avi").touch()
    split = split_of([("late.avi", 3)])
    with pytest.raises(DataError):
        find_records(split, tmp_path)
    (tmp_path / "late.avi").touch()
    assert find_records(split, tmp_path) == ([(str(tmp_path / "late.avi"), "late.avi", 3)], [])


def test_a_copy_in_another_container_is_found(tmp_path):
    index = RootIndex(tmp_path, ["x/a.mp4", "b.mp4", "c.avi", "c.mp4", "d.txt.mp4"])
    assert [index.find(name) for name in ("x/a.avi", "a.webm", "y/b.MKV")] == ["x/a.mp4", "x/a.mp4", "b.mp4"]
    assert index.find("c.avi") == "c.avi"  # the name itself comes first
    assert index.find("d.txt") is None and index.find("x/a.txt") is None


def test_folders_on_disk(tmp_path):
    for name in ("b/x", "a", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").touch()
    index = scan_root(tmp_path, refresh=True)
    assert (index.folders(), index.folders("b")) == (["a", "b"], ["x"])


def test_a_relative_root_is_that_of_the_current_directory(tmp_path, monkeypatch):
    for name in ("first", "second"):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "data" / f"{name}.avi").touch()
        monkeypatch.chdir(tmp_path / name)
        assert scan_root(Path("data")).files == {f"{name}.avi"}
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="The data root data does not exist"):
        scan_root(Path("data"))
