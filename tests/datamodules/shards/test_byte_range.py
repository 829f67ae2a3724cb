"""A clip in a tar file is read whole and unchanged, or not at all."""

import zlib

import pytest

from datamodules.errors import DataError
from datamodules.shards.byte_range import ByteRange, parse_range

CONTENT = bytes(range(256)) * 4


@pytest.fixture
def clip(tmp_path):
    (tmp_path / "s.tar").write_bytes(CONTENT)
    return ByteRange(f"{tmp_path}/s.tar", 100, 50, zlib.crc32(CONTENT[100:150]))


def test_path_and_back(clip):
    assert str(clip).endswith("/s.tar#bytes=100-149,crc32=" + f"{clip.crc:08x}")
    assert parse_range(str(clip)) == clip
    assert parse_range(str(clip._replace(shard="s3://bucket/a#b\n.tar", crc=1))).crc == 1


@pytest.mark.parametrize("path", ["a.mp4", "a.tar", "a.tar#bytes=1-2", "a.zip#bytes=1-2,crc32=00000000"])
def test_other_paths_are_files(path):
    assert parse_range(path) is None


def test_reads_these_bytes(clip):
    assert clip.read() == CONTENT[100:150]
    clip.check_reach()


def test_raises_where_the_shard_ends_early(clip):
    with open(clip.shard, "r+b") as file:
        file.truncate(149)
    for refuses in (clip.read, clip.check_reach):
        with pytest.raises(DataError, match=r"s\.tar#bytes=100-149,crc32=\w{8} ends too early; fetch the shard again"):
            refuses()


def test_raises_on_a_changed_byte(clip):
    with open(clip.shard, "r+b") as file:
        file.seek(120)
        file.write(b"!")
    clip.check_reach()
    with pytest.raises(DataError, match="has changed or is damaged; fetch the shard again"):
        clip.read()


def test_raises_without_the_shard(clip):
    missing = clip._replace(shard=f"{clip.shard}2")
    for refuses in (missing.read, missing.check_reach):
        with pytest.raises(DataError, match=r"s\.tar2 cannot be read \(No such file or directory\); check the path"):
            refuses()
