"""A bounded store of clips: its size, its messages, several writers at once, and writers killed at any moment."""

import multiprocessing
import os
import resource
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from datamodules.errors import DataError
from datamodules.video import frame_store
from datamodules.video.frame_store import ASIDE, GB, FrameStore, StoreError

FORK = multiprocessing.get_context("fork")  # no imports in the children: milliseconds instead of seconds
FULL = {"frames": torch.arange(40_000)}  # 320 kB


@pytest.fixture
def store(tmp_path):
    store = FrameStore(tmp_path / "deep" / "cache", 0.001)
    store.open()
    return store


def occupied(store):
    return sum(file.stat().st_size for file in store.folder.rglob("*.safetensors"))


def add(store, key, value=0):
    store.add(key, {"frames": FULL["frames"] + value}, {"value": str(value)})


def in_child(work, *arguments):
    child = FORK.Process(target=work, args=arguments)
    child.start()
    return child


def test_keeps_clips_and_replaces_them(store):
    add(store, "ab01")
    add(store, "ab01", 5)
    add(store, "cd01")
    assert load_file(store.file_of("ab01"))["frames"][0] == 5
    assert int((store.folder / "used_bytes").read_text()) == occupied(store) < 700_000
    assert not [*(store.folder / ASIDE).iterdir()]


def test_never_exceeds_its_limit(store):
    for number in range(3):
        add(store, f"ab0{number}")
    with pytest.raises(StoreError, match=r"cache is full \(0\.001 GB\); raise --data\.cache_gb, or delete it"):
        add(store, "ab03")
    assert occupied(store) < 0.001 * GB and not store.file_of("ab03").exists()
    store.file_of("ab00").unlink()  # by hand
    store.open()
    add(store, "ab03")


def test_leaves_room_on_the_disk(store, monkeypatch):
    monkeypatch.setattr(frame_store, "LEFT_FREE_GB", 10**6)
    with pytest.raises(StoreError, match=r"has less than 1000000 GB left, which stay free for checkpoints"):
        add(store, "ab")


def test_a_failed_write_leaves_nothing(store):
    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # ends a write as a full disk does
        with pytest.raises(StoreError, match=r"cache cannot be written \(File too large.*\); see to its disk\.$"):
            add(store, "ab")

    child = in_child(fill)
    child.join()
    assert child.exitcode == 0 and occupied(store) == 0 and not [*(store.folder / ASIDE).iterdir()]
    assert (store.folder / "used_bytes").read_text() == "0"


def test_a_vanished_folder_is_an_error_of_the_store(store):
    store.folder.rename(store.folder.parent / "away")
    with pytest.raises(StoreError, match="No such file or directory"):
        add(store, "ab")


def test_refuses_a_file_and_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DataError, match=rf"--data\.cache {path} is not a folder; give one, or a new name\."):
            FrameStore(path, 1).open()
    with pytest.raises(DataError, match=r"cache /proc/cache cannot be written \(.+\); give a folder that can\."):
        FrameStore(Path("/proc/cache"), 1).open()


def test_measures_again_what_a_killed_process_left(store):
    add(store, "ab")
    (store.folder / "used_bytes").write_text("")  # killed while writing it
    abandoned, current = store.folder / ASIDE / "ab.999999.0", store.folder / ASIDE / "cd.600000.1"
    for file in (abandoned, current):
        file.touch()
    os.utime(abandoned, (time.time() - 3600,) * 2)
    store.open()
    assert not abandoned.exists() and int((store.folder / "used_bytes").read_text()) == occupied(store) + 600_000
    with pytest.raises(StoreError, match="full"):
        add(store, "cd")  # another process is still writing the rest


def test_several_writers_share_one_limit(store):
    store.limit = 10_000_000

    def write(offset):
        for number in range(20):
            try:
                add(store, f"{(number + offset) % 40:02x}", (number + offset) % 40)
            except StoreError:
                continue

    children = [in_child(write, offset) for offset in (0, 10, 20)]  # half of the clips by two of them
    for child in children:
        child.join()
    assert not any(child.exitcode for child in children)
    kept = [*store.folder.rglob("*.safetensors")]
    # 31 fit; fewer where two processes claimed room for the same clip.
    assert 28 <= len(kept) <= 31 and occupied(store) <= store.limit
    assert all(load_file(file)["frames"][0] == int(file.stem, 16) for file in kept)
    assert int((store.folder / "used_bytes").read_text()) == occupied(store)


def test_a_writer_killed_at_any_moment_leaves_whole_clips(store):
    store.limit = 10**9  # the killed ones keep their claims until it is opened again

    def write():
        for number in range(10**6):
            add(store, f"{number % 12:02x}", number % 12)

    for attempt in range(12):
        child = in_child(write)
        time.sleep(0.02 + 0.007 * attempt)
        child.kill()
        child.join()
        assert child.exitcode == -9  # and not of an error
        for file in store.folder.rglob("*.safetensors"):
            frames = load_file(file)["frames"]
            assert len(frames) == 40_000 and torch.equal(frames, FULL["frames"] + int(file.stem, 16))
    for file in (store.folder / ASIDE).iterdir():
        os.utime(file, (0, 0))
    store.open()
    assert not [*(store.folder / ASIDE).iterdir()]
    assert int((store.folder / "used_bytes").read_text()) == occupied(store)
