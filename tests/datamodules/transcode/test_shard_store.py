"""Shards are WebDataset tar files, whatever happened while they were written."""

import json
import subprocess
import tarfile
from pathlib import Path

import pytest
import webdataset

from datamodules.shards.byte_range import ByteRange
from datamodules.shards.manifest import CopiedFile
from datamodules.transcode.shard_store import ShardStore


def put(store, folder, *names, size=3000):
    """Puts videos, whose bytes say their name; returns name -> where it is."""
    found = {}
    for name in names:
        path = folder / "scratch"
        path.write_bytes((name * size).encode()[:size])
        found[name] = store.put(CopiedFile(name, name, 1, 1, size, frames=5), path)
        assert not path.exists()
    return found


def read(folder, files):
    for name, file in files.items():
        part = ByteRange(f"{folder}/{file.shard}", file.start, file.size, file.crc)
        assert part.read() == (name * file.size).encode()[: file.size]


def shards(folder):
    return sorted(path.name for path in Path(folder).glob("*.tar"))


def samples(folder):
    urls = [f"{folder}/{name}" for name in shards(folder)]
    return list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))


def assert_holds(folder, files):
    """Checks that another reader finds these videos, each once, and that tar has nothing to complain about."""
    read(folder, files)
    found = samples(folder)
    assert sorted(json.loads(sample["json"])["path"] for sample in found) == sorted(files)
    assert len({sample["__key__"] for sample in found}) == len(found)
    for sample in found:
        facts = json.loads(sample["json"])
        assert sample["mp4"] == (facts["path"] * 3000).encode()[:3000] and facts["frames"] == 5
    for name in shards(folder):
        done = subprocess.run(["tar", "tf", folder / name], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


NAMES = [f"class/a.b{number}.mp4" for number in range(7)]


@pytest.fixture
def written(tmp_path):
    """Three shards of two videos, and one with the last."""
    store = ShardStore(tmp_path, 7000)
    store.begin({}, set(), set())
    files = put(store, tmp_path, *NAMES)
    store.close()
    return files


def test_another_reader_finds_every_video_once(written, tmp_path):
    assert shards(tmp_path) == [f"shard-00000{number}.tar" for number in range(4)]
    assert_holds(tmp_path, written)


def test_nothing_is_touched_without_need(written, tmp_path):
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in shards(tmp_path)}
    store = ShardStore(tmp_path, 7000)
    assert store.begin(written, set(), set()) == written
    store.close()
    assert before == {name: (tmp_path / name).stat().st_mtime_ns for name in shards(tmp_path)}


def test_goes_on_in_the_last_shard(written, tmp_path):
    store = ShardStore(tmp_path, 7000)
    store.begin(written, set(), set())
    files = written | put(store, tmp_path, "new1.mp4", "new2.mp4")
    store.close()
    assert shards(tmp_path) == [f"shard-00000{number}.tar" for number in range(5)]
    assert_holds(tmp_path, files)


@pytest.mark.parametrize("kept", range(8))
@pytest.mark.parametrize("behind", [b"", b"half of a video" * 99])
def test_goes_on_after_a_kill(tmp_path, kept, behind):
    store = ShardStore(tmp_path, 7000)
    store.begin({}, set(), set())
    files = put(store, tmp_path, *NAMES)  # the last shard stays open, the last videos were not noted
    with (tmp_path / files[NAMES[-1]].shard).open("ab") as shard:
        shard.write(behind)
    noted = {name: files[name] for name in NAMES[:kept]}
    store = ShardStore(tmp_path, 7000)
    assert store.begin(noted, set(), set()) == noted
    noted |= put(store, tmp_path, *NAMES[kept:])
    store.close()
    assert_holds(tmp_path, noted)
    assert noted == files


def test_a_changed_or_deleted_video_takes_its_shard_along(written, tmp_path):
    store = ShardStore(tmp_path, 7000)
    kept = store.begin(written, {NAMES[0]}, {NAMES[5]})
    assert set(kept) == {*NAMES[2:4], NAMES[6]}
    files = kept | put(store, tmp_path, NAMES[5], NAMES[1], NAMES[4])
    store.close()
    assert shards(tmp_path) == [f"shard-00000{number}.tar" for number in range(4)]  # no gap is left
    assert_holds(tmp_path, files)


def test_every_unfinished_shard_is_ended(written, tmp_path):
    for name in ("shard-000001.tar", "shard-000003.tar"):
        with (tmp_path / name).open("r+b") as shard:  # as if killed before the end blocks, and in a video
            shard.truncate(max(file.start + 3072 for file in written.values() if file.shard == name) + 700)
    ShardStore(tmp_path, 7000).begin(written, set(), set())
    assert_holds(tmp_path, written)


def test_same_videos_make_the_same_bytes(written, tmp_path):
    (tmp_path / "again").mkdir()
    store = ShardStore(tmp_path / "again", 7000)
    store.begin({}, set(), set())
    put(store, tmp_path / "again", *NAMES)
    store.close()
    for name in shards(tmp_path):
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_entries_are_plain(written, tmp_path):
    with tarfile.open(tmp_path / "shard-000001.tar") as tar:
        assert tar.getnames() == [f"000001{n:06d}.{kind}" for n in range(2) for kind in ("json", "mp4")]
        assert {entry.mtime for entry in tar} == {0}
