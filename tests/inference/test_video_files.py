"""The videos that paths and folders name."""

import pytest

from datamodules.errors import DataError
from tc_clip_pl.inference.video_files import find_videos


def test_files_as_named_and_folders_by_suffix(tmp_path):
    for name in ("z.mp4", "deep/er/B.AVI", "deep/a.mkv", "deep/notes.txt", "odd.name"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_videos([tmp_path / "odd.name", tmp_path / "deep", tmp_path / "deep" / "a.mkv", tmp_path / "z.mp4"])
    assert [path.removeprefix(f"{tmp_path}/") for path in found] == ["odd.name", "deep/a.mkv", "deep/er/B.AVI", "z.mp4"]


def test_missing_and_empty_ones_are_named(tmp_path):
    with pytest.raises(DataError, match=r"There is no video or folder .*none\.mp4; check the path\."):
        find_videos([tmp_path / "none.mp4"])
    with pytest.raises(DataError, match=r"has no videos \(.*\.mp4"):
        find_videos([tmp_path])
