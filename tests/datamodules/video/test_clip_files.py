"""Clips in files and in shards are opened, told apart and versioned alike."""

import os
import zlib

import pytest

from datamodules.errors import DataError
from datamodules.shards.byte_range import ByteRange
from datamodules.video.clip_files import absolute_path, clip_version, is_in_shard, open_clip


@pytest.fixture
def part(tmp_path):
    (tmp_path / "s.tar").write_bytes(b"0123456789")
    return str(ByteRange(f"{tmp_path}/s.tar", 2, 3, zlib.crc32(b"234")))


def test_opens_a_file_by_its_path_and_a_range_by_its_bytes(part, tmp_path):
    assert open_clip(tmp_path / "a.mp4") == f"{tmp_path}/a.mp4"
    assert open_clip(part).read() == b"234"
    assert is_in_shard(part) and not is_in_shard(tmp_path / "a.mp4")


def test_versions_change_with_the_clip(part, tmp_path):
    file = tmp_path / "a.mp4"
    file.write_bytes(b"12345")
    before = clip_version(str(file))
    os.utime(file, ns=(1, 1))
    assert before[0] == 5 and clip_version(str(file)) == (5, 1)
    assert clip_version(part) == (3, zlib.crc32(b"234"))
    os.truncate(tmp_path / "s.tar", 4)
    with pytest.raises(DataError, match="ends too early"):
        clip_version(part)
    with pytest.raises(FileNotFoundError):
        clip_version(f"{file}2")


def test_absolute_paths(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert absolute_path("a.mp4") == f"{tmp_path}/a.mp4"
    assert absolute_path("s3://a/b.tar#bytes=0-1,crc32=00000000") == "s3://a/b.tar#bytes=0-1,crc32=00000000"
