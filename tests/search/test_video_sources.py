"""Folders, lists and URLs to videos with marks."""

import os
from pathlib import Path

import fsspec
import pytest

from datamodules.errors import DataError
from tc_clip_pl.search.embedding import embed_videos
from tc_clip_pl.search.video_sources import GONE, is_below, list_videos, local_copy


def test_folders_files_and_lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("films/a.mp4", "films/deep/b.avi", "odd.name"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "list.txt").write_text("odd.name\n\nfilms/none.mp4\n")
    found = list_videos(["films", "list.txt", "films/a.mp4"])
    assert [os.path.relpath(path) for path in found] == ["films/a.mp4", "films/deep/b.avi", "odd.name",
                                                         "films/none.mp4"]  # fmt: skip
    assert found[str(tmp_path / "films/none.mp4")] == GONE
    before = found[str(tmp_path / "odd.name")]
    os.utime("odd.name", ns=(1, 1))
    assert list_videos(["odd.name"])[str(tmp_path / "odd.name")] != before


def test_urls_are_listed_and_read(tmp_path, recognizer, write_film):
    memory = fsspec.filesystem("memory")
    local = write_film(tmp_path / "a.mp4", 2, 0)
    for name in ("a.mp4", "deep/b.mp4", "notes.md"):
        memory.pipe_file(f"/films/{name}", (tmp_path / "a.mp4").read_bytes())
    found = list_videos(["memory://films"])
    assert list(found) == ["memory:///films/a.mp4", "memory:///films/deep/b.mp4"] and all(found.values())
    assert list(list_videos(["memory://films/a.mp4"])) == ["memory:///films/a.mp4"]
    remote, same = embed_videos(recognizer, ["memory:///films/a.mp4", local], 1.0, 0.5)
    assert (remote.vectors == same.vectors).all() and len(remote.vectors) == 3
    memory.pipe_file("/films/bad.mp4", b"no video")
    bad, none = embed_videos(recognizer, ["memory:///films/bad.mp4", "memory:///films/none.mp4"], 1.0, 0.5)
    assert bad.error.startswith("cannot be decoded") and none.error.startswith("cannot be read")


def test_copies_do_not_stay(tmp_path):
    fsspec.filesystem("memory").pipe_file("/c/a.mp4", b"1234")
    with local_copy("memory:///c/a.mp4") as path:
        assert Path(path).read_bytes() == b"1234" and path.endswith(".mp4")
    assert not os.path.exists(path)
    with local_copy("a.mp4") as path:
        assert path == "a.mp4"


def test_what_is_below():
    assert is_below("/a/b/c.mp4", ["/a/b"]) and is_below("s3://x/y/c.mp4", ["s3://x/y/"])
    assert not is_below("/a/bc.mp4", ["/a/b"]) and not is_below("/a/b.mp4", ["/a/b.mp4"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("memory://nothing", "cannot be listed"),
        ("nostore://a/b", "cannot be opened"),
        ("none", "There is no video or folder none"),
    ],
)
def test_mistake_is_one_sentence(source, message):
    with pytest.raises(DataError, match=message):
        list_videos([source])
