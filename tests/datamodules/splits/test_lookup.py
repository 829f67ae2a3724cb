"""Clips are found in any layout."""

import pytest

from datamodules.errors import DataError
from datamodules.splits.lookup import RootIndex, scan_root


def test_path_first_then_base_name(tmp_path):
    index = RootIndex(tmp_path, ["x/a.avi", "a.avi", "deep/er/b.avi"])
    assert index.find("x/a.avi") == "x/a.avi"
    assert index.find("a.avi") == "a.avi"
    assert index.find("other/b.avi") == "deep/er/b.avi"
    assert index.find("c.avi") is None


def test_raises_on_an_ambiguous_base_name_naming_both(tmp_path):
    index = RootIndex(tmp_path, ["x/a.avi", "y/a.avi"])
    with pytest.raises(DataError, match=r"x/a\.avi or y/a\.avi"):
        index.find("a.avi")


def test_scan_follows_links_and_survives_circles(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir(), elsewhere.mkdir()
    (elsewhere / "a.avi").touch()
    (root / "class").symlink_to(elsewhere)
    (elsewhere / "up").symlink_to(root)
    (root / ".hidden").touch()
    assert scan_root(root, refresh=True).files == {"class/a.avi"}


def test_matching_by_pattern(tmp_path):
    index = RootIndex(tmp_path, ["s/walk_test_split1.txt", "s/run_test_split1.txt", "s/run_test_split2.txt"])
    assert index.matching("*_test_split1.txt") == ["s/run_test_split1.txt", "s/walk_test_split1.txt"]


def test_raises_on_a_bad_root(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name, words in {"gone": "does not exist", "empty": "is empty", "file": "is not a directory"}.items():
        with pytest.raises(DataError, match=words):
            scan_root(tmp_path / name)
