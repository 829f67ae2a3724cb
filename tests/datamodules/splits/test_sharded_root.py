"""A root with a manifest of shards is one, and nothing else is."""

import fsspec
import pytest

from datamodules.errors import DataError
from datamodules.shards.manifest import CopiedFile, Manifest
from datamodules.splits.lookup import parse_root, scan_root
from datamodules.splits.sharded_root import open_sharded

FILES = [
    CopiedFile("train/x/a.mp4", "train/x/a.avi", 1, 1, 9, 3, "shard-000000.tar", 1536, 5),
    CopiedFile("training/y/b.mp4", "training/y/b.mp4", 1, 1, 9, 3, "shard-000000.tar", 3584, 6),
    CopiedFile("lists/l.txt", "lists/l.txt", 1, 1, 4),
]
TEXT = Manifest({}, True, {file.name: file for file in FILES}).text()


@pytest.fixture
def url():
    for name, content in (("shards.jsonl", TEXT), ("lists/l.txt", "text")):
        with fsspec.open(f"memory://roots/data/{name}", "w") as file:
            file.write(content)
    yield "memory://roots/data"
    fsspec.filesystem("memory").rm("/roots", recursive=True)


def test_a_folder_of_files_is_none(tmp_path):
    assert open_sharded(str(tmp_path)) is None


def test_index_of_a_folder(tmp_path):
    (tmp_path / "shards.jsonl").write_text(TEXT)
    index = scan_root(tmp_path, refresh=True)
    assert index.files == {file.name for file in FILES} and str(index) == str(tmp_path)
    assert index.path_of("train/x/a.mp4") == f"{tmp_path}/shard-000000.tar#bytes=1536-1544,crc32=00000005"
    assert index.annotation("lists/l.txt") == tmp_path / "lists" / "l.txt"
    assert index.find("x/a.avi") == "train/x/a.mp4"
    assert index.folders() == ["lists", "train", "training"] and index.folders("train") == ["x"]


def test_index_of_a_url(url):
    index = scan_root(parse_root(url + "/"), refresh=True)
    assert str(index) == url and index.root.name == "data" and index.root.is_dir()
    assert index.path_of("training/y/b.mp4") == f"{url}/shard-000000.tar#bytes=3584-3592,crc32=00000006"
    assert index.only("*.txt", "none").read_text() == "text"
    assert index.annotation("lists/l.txt").parent == index.root / "lists"


def test_raises_on_a_damaged_manifest(tmp_path):
    (tmp_path / "shards.jsonl").write_text("no manifest")
    with pytest.raises(DataError, match=r"shards\.jsonl is no manifest"):
        scan_root(tmp_path, refresh=True)


def test_paths_stay_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parse_root("~/data") == tmp_path / "data"
