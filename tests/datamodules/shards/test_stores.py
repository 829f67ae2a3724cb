"""Files and URLs are read alike, and mistakes with them are one sentence."""

import fsspec
import pytest

from datamodules.errors import DataError
from datamodules.shards.byte_range import ByteRange
from datamodules.shards.stores import file_size, is_url, open_store, read_bytes


@pytest.fixture(params=["file", "url"])
def place(request, tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    with fsspec.open("memory://stores/a", "wb") as file:
        file.write(b"0123456789")
    return f"{tmp_path}/a" if request.param == "file" else "memory://stores/a"


def test_reads_all_or_a_part(place):
    assert read_bytes(place) == b"0123456789"
    assert read_bytes(place, 0, 3) == b"012"
    assert read_bytes(place, 4, 3) == b"456"
    assert read_bytes(place, 8, 3) == b"89"
    assert file_size(place) == 10


def test_raises_on_what_is_not_there(place):
    for refuses in (read_bytes, file_size):
        with pytest.raises(DataError, match=r"(a2|FileNotFoundError).* cannot be read|a2 cannot be read"):
            refuses(f"{place}2")


def test_urls_are_told_from_paths(tmp_path):
    assert is_url("s3://bucket/a") and not is_url("a/b") and not is_url(tmp_path)


def test_raises_on_an_unknown_protocol():
    with pytest.raises(DataError, match=r"^nowhere://a cannot be opened \(Protocol not known: nowhere\)"):
        open_store("nowhere://a")


def test_raises_on_a_server_without_ranges(serve, tmp_path):
    (tmp_path / "s.tar").write_bytes(b"0123456789")
    whole = ByteRange(f"{serve(tmp_path, ranges=False)}/s.tar", 2, 3, 0)
    with pytest.raises(DataError, match="sends whole files: give a URL that answers range requests"):
        whole.read()
