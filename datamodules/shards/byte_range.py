"""The path of a clip in a tar file: the tar file, the clip's first and last byte in it, and a checksum of the clip."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from datamodules.errors import DataError
from datamodules.shards.stores import file_size, read_bytes

FORM = re.compile(r"(?s)(?P<shard>.+\.tar)#bytes=(?P<start>\d+)-(?P<end>\d+),crc32=(?P<crc>[0-9a-f]{8})")


class ByteRange(NamedTuple):
    """Where a clip lies; as a string, it is the clip's path.

    Attributes:
        shard: Path or URL of the tar file.
        start: Its first byte.
        size: Number of its bytes.
        crc: Their CRC-32. With it, a shard that was damaged or written anew is an error instead of another clip.
    """

    shard: str
    start: int
    size: int
    crc: int

    def __str__(self) -> str:
        return f"{self.shard}#bytes={self.start}-{self.start + self.size - 1},crc32={self.crc:08x}"

    def read(self) -> bytes:
        """Read the clip.

        Raises:
            DataError: The shard cannot be read, or has other bytes there than it had when it was written.
        """
        data = read_bytes(self.shard, self.start, self.size)
        if len(data) > self.size:
            raise DataError(f"The server of {self.shard} sends whole files: give a URL that answers range requests.")
        if len(data) < self.size or zlib.crc32(data) != self.crc:
            what = "ends too early" if len(data) < self.size else "has changed or is damaged"
            raise DataError(f"{self} {what}; fetch the shard again, or write it anew.")
        return data

    def check_reach(self) -> None:
        """Check that the shard reaches to the end of the clip, without reading it.

        Raises:
            DataError: It does not, or there is no such shard.
        """
        if file_size(self.shard) < self.start + self.size:
            raise DataError(f"{self} ends too early; fetch the shard again, or write it anew.")


def parse_range(path: str) -> ByteRange | None:
    """Return the range of bytes that a clip's path names, or None for a path of a file."""
    found = FORM.fullmatch(path) if "#bytes=" in path else None  # most paths are those of files
    if found is None:
        return None
    start, end = int(found["start"]), int(found["end"])
    return ByteRange(found["shard"], start, end + 1 - start, int(found["crc"], 16))
