"""A manifest survives the kill of its writer, and says when it is not one."""

import pytest

from datamodules.errors import DataError
from datamodules.shards.byte_range import parse_range
from datamodules.shards.manifest import CopiedFile, Manifest, parse_manifest

CLIP = CopiedFile("a/x.mp4", "a/x.avi", 10, 2, 7, 30, "shard-000000.tar", 1536, 0xABC)
TEXT = CopiedFile("l\u2028\udc80.txt", "l\u2028\udc80.txt", 3, 4, 3)  # names are any bytes
MANIFEST = Manifest({"crf": 20}, True, {file.name: file for file in (CLIP, TEXT)})


def test_text_and_back():
    assert parse_manifest(MANIFEST.text(), "m") == MANIFEST
    assert MANIFEST.text().isascii() and '"shard"' not in TEXT.line()


def test_paths_below_a_root():
    assert TEXT.path_below("root").startswith("root/l")
    assert parse_range(CLIP.path_below("root")) == ("root/shard-000000.tar", 1536, 7, 0xABC)


def test_an_unfinished_line_is_left_out_wherever_the_writer_was_killed():
    text = MANIFEST.text()
    begin = text.index("\n") + 1
    first_end = text.index("\n", begin)
    for end in range(begin, len(text)):
        found = parse_manifest(text[:end], "m").files
        assert list(found) == ([CLIP.name] if end > first_end else [])


def test_the_last_of_two_lines_counts():
    changed = CopiedFile("a/x.mp4", "a/x.avi", 11, 2, 8, 31)
    assert parse_manifest(MANIFEST.text() + changed.line(), "m").files["a/x.mp4"] == changed


@pytest.mark.parametrize(
    "text", ["", "{", "[]\n", "{}\n", MANIFEST.text().replace('"size"', '"length"'), MANIFEST.text() + "x\n"]
)
def test_raises_on_something_else(text):
    with pytest.raises(DataError, match=r"^m is no manifest of `tcclip transcode`, or damaged"):
        parse_manifest(text, "m")


def test_raises_on_another_format():
    with pytest.raises(DataError, match="has format 2, and this version reads 1"):
        parse_manifest(MANIFEST.text().replace('"tcclip_copy": 1', '"tcclip_copy": 2'), "m")
