"""A copy has what the dataset has, goes on after a kill at any file, and follows what changes."""

import os
import shutil

import pytest

from datamodules.errors import DataError
from datamodules.shards.manifest import parse_manifest
from datamodules.splits.lookup import scan_root
from datamodules.transcode.copy import Task, copy_file, open_copy
from datamodules.transcode.video import VideoSettings, WriteError

SHARD = 12_000  # two or three of the videos below
KINDS = pytest.mark.parametrize("shard_bytes", [None, SHARD], ids=["tree", "shards"])


@pytest.fixture
def source(videos, tmp_path):
    for name, count in (("x/a.avi", 9), ("x/b.c.mp4", 12), ("y/d.mkv", 8), ("y/e.mp4", 10), ("z.webm", 7)):
        file = tmp_path / "source" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        codec = {".avi": "mpeg4", ".webm": "libvpx-vp9"}.get(file.suffix, "libx264")
        videos.write(file, count, codec=codec, size=(320, 160))
    (tmp_path / "source" / "lists").mkdir()
    (tmp_path / "source" / "lists" / "train.txt").write_text("x/a.avi 0\n")
    return tmp_path / "source"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target"


VIDEOS = {"x/a.mp4", "x/b.c.mp4", "y/d.mp4", "y/e.mp4", "z.mp4"}
ALL = VIDEOS | {"lists/train.txt"}


def manifest(target):
    (file,) = target.glob("*.jsonl")
    return parse_manifest(file.read_text(), str(file))


def content(target):
    """Name -> bytes of every file of a copy, as a data module finds them."""
    index = scan_root(target, refresh=True)
    files = manifest(target).files
    ends = {name: index._shards.files[name].path_below(str(target)) for name in files} if index._shards else {}
    found = {}
    for name, file in files.items():
        path = ends.get(name, str(target / name)).partition("#")[0]
        with open(path, "rb") as stream:
            stream.seek(file.start)
            found[name] = stream.read(file.size)
    return found


def leftovers(target):
    return [name for name in os.listdir(target) if name.startswith(".") and name != ".transcode.lock"]


@KINDS
def test_has_every_file_under_its_name(copy, source, target, shard_bytes):
    _, done = copy(source, target, shard_bytes)
    assert set(done) == ALL and not leftovers(target)
    found = manifest(target)
    assert found.is_complete and set(found.files) == ALL and found.facts["short_side"] == 256
    assert {name: file.frames for name, file in found.files.items()} == {
        **{"x/a.mp4": 9, "x/b.c.mp4": 12, "y/d.mp4": 8, "y/e.mp4": 10, "z.mp4": 7},
        "lists/train.txt": None,
    }
    assert (target / "lists" / "train.txt").read_text() == "x/a.avi 0\n"
    index = scan_root(target)
    assert {index.find(name) for name in ("x/a.avi", "a.avi", "q/z.webm", "d.mkv")} == {"x/a.mp4", "z.mp4", "y/d.mp4"}
    assert set(index.files) - {"transcode.jsonl"} == ALL
    copy(source, target, shard_bytes)  # nothing is left to do
    assert content(target) == content(target)


@KINDS
def test_goes_on_after_a_kill_at_any_file(copy, source, target, shard_bytes, monkeypatch):
    copy(source, target.with_name("whole"), shard_bytes)
    done = []

    class Killed(BaseException):
        pass

    def killed_after(count):
        def run(task, scratch, settings):
            if len(done) >= count:
                raise Killed
            outcome = copy_file(task, scratch, settings)
            done.append(task[1].name)
            return outcome

        return run

    for count in range(1, len(ALL) + 1):
        monkeypatch.setattr("datamodules.transcode.copy.copy_file", killed_after(count))
        if count < len(ALL):
            with pytest.raises(Killed):
                copy(source, target, shard_bytes)
            assert not manifest(target).is_complete and len(manifest(target).files) == count
            for file in target.glob("*.tar"):  # what a kill leaves behind the last video that was noted
                with file.open("ab") as stream:
                    stream.write(b"half of a video")
        else:
            copy(source, target, shard_bytes)
    assert sorted(done) == sorted(ALL)  # each once
    assert content(target) == content(target.with_name("whole"))


@KINDS
def test_follows_the_dataset(copy, videos, source, target, shard_bytes):
    copy(source, target, shard_bytes)
    before = content(target)
    videos.write(source / "x" / "a.avi", 20, codec="mpeg4", size=(320, 160))
    videos.write(source / "new.mp4", 6)
    (source / "z.webm").unlink()
    result, done = copy(source, target, shard_bytes)
    assert (result.num_changed, result.num_gone) == (1, 1)
    assert {"x/a.mp4", "new.mp4"} <= set(done) and len(done) < len(ALL)
    after = content(target)
    assert set(after) == (ALL | {"new.mp4"}) - {"z.mp4"} and manifest(target).files["x/a.mp4"].frames == 20
    assert {name for name in before if after.get(name) == before[name]} == ALL - {"x/a.mp4", "z.mp4"}
    assert not (target / "z.mp4").exists()


def test_removes_what_a_killed_command_left(copy, source, target):
    copy(source, target)
    (target / ".transcode.unfinished-abc").mkdir()
    (target / ".transcode.unfinished-abc" / "0").touch()
    copy(source, target)
    assert not leftovers(target)


def test_an_emptied_class_folder_goes(copy, source, target):
    copy(source, target)
    shutil.rmtree(source / "y")
    copy(source, target)
    assert sorted(os.listdir(target)) == [".transcode.lock", "lists", "transcode.jsonl", "x", "z.mp4"]


@KINDS
def test_writes_again_what_was_lost(copy, source, target, shard_bytes):
    copy(source, target, shard_bytes)
    assert shard_bytes is None or len(list(target.glob("*.tar"))) > 1
    before = content(target)
    lost = target / ("x/a.mp4" if shard_bytes is None else "shard-000000.tar")
    os.truncate(lost, 10)
    _, done = copy(source, target, shard_bytes)
    assert done and len(done) < len(VIDEOS)
    assert content(target) == before


def test_unreadable_files_are_told_and_tried_again(copy, videos, source, target):
    (source / "x" / "bad.mp4").write_text("text")
    (source / "x" / "gone.mp4").symlink_to("nowhere.mp4")
    result, done = copy(source, target)
    assert set(result.errors) == {"x/bad.mp4", "x/gone.mp4"} and result.errors["x/gone.mp4"] == "cannot be read"
    assert result.errors["x/bad.mp4"].startswith("cannot be decoded as a video (")
    assert set(manifest(target).files) == ALL and manifest(target).is_complete
    videos.write(source / "x" / "bad.mp4", 5)
    result, done = copy(source, target)
    assert done == ["x/bad.mp4"] and set(result.errors) == {"x/gone.mp4"}


def test_a_file_that_becomes_unreadable_does_not_keep_its_old_copy(copy, source, target):
    copy(source, target)
    (source / "y" / "e.mp4").write_text("text")
    copy(source, target)
    assert not (target / "y" / "e.mp4").exists() and "y/e.mp4" not in manifest(target).files


def test_a_copy_can_be_copied(copy, source, target, tmp_path):
    copy(source, target, SHARD)
    copy(target, tmp_path / "tree")
    copy(tmp_path / "tree", tmp_path / "again")
    assert set(manifest(tmp_path / "again").files) == ALL
    assert {file.frames for file in manifest(tmp_path / "again").files.values()} == {9, 12, 8, 10, 7, None}


def test_raises_on_two_files_of_one_name(videos, source, target):
    videos.write(source / "x" / "a.mp4", 3)
    with (
        pytest.raises(DataError, match=r"^x/a\.avi and x/a\.mp4 in .* would both become x/a\.mp4; rename one"),
        open_copy(source, target, VideoSettings(), None),
    ):
        pass
    assert not target.exists()


@pytest.mark.parametrize("place", ["source", "source/inside"])
def test_raises_on_a_folder_inside_of_the_dataset(source, place):
    with (
        pytest.raises(DataError, match=r"is inside of .* name another folder"),
        open_copy(source, source.parent / place, VideoSettings(), None),
    ):
        pass


def test_a_disk_error_ends_the_copy_and_leaves_it_to_go_on(copy, source, target, monkeypatch):
    def full(numbered, scratch, settings):
        if numbered[1].name.startswith("y"):
            raise WriteError(28, "No space left on device", scratch)
        return copy_file(numbered, scratch, settings)

    with monkeypatch.context() as patch:
        patch.setattr("datamodules.transcode.copy.copy_file", full)
        with pytest.raises(WriteError):
            copy(source, target)
    assert not leftovers(target) and not manifest(target).is_complete
    assert set(copy(source, target)[1]) == {"y/d.mp4", "y/e.mp4", "z.mp4"}


def test_other_files_that_cannot_be_read(tmp_path):
    (tmp_path / "scratch").mkdir()
    outcome = copy_file((0, Task("a.txt", "a.txt", "/proc/self/mem", (1, 1))), str(tmp_path / "scratch"), None)
    assert outcome.error.startswith("cannot be read (")


def test_shards_hold_the_classes_mixed(copy, source, target):
    copy(source, target, 10**9)
    files = sorted(manifest(target).files.values(), key=lambda file: file.start)
    order = [file.name for file in files if file.shard]
    assert order != sorted(order)
