"""Puts the videos of a copy into WebDataset tar files."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
import zlib
from collections.abc import Mapping, Set
from dataclasses import replace
from pathlib import Path

from datamodules.shards.manifest import SHARDS_MANIFEST, CopiedFile
from datamodules.transcode.stores import TreeStore, size_of

SHARD = "shard-{:06d}.tar"
SHARD_FORM = re.compile(r"shard-(\d{6})\.tar")


class ShardStore:
    """Videos in tar files, two entries each: a JSON with its name, and the video. Other files lie beside them.

    A shard with a video that has changed or is gone is written anew, since a tar file cannot lose an entry.

    Args:
        folder: The folder of the shards.
        shard_bytes: A shard that has grown to this size gets no more videos.
    """

    manifest = SHARDS_MANIFEST

    def __init__(self, folder: Path, shard_bytes: int) -> None:
        self.tree, self.folder, self.shard_bytes = TreeStore(folder), folder, shard_bytes
        self._ends: dict[str, int] = {}  # shard -> the position behind its last video
        self._counts: dict[str, int] = {}  # shard -> its videos
        self._name, self._tar = "", None

    def begin(self, files: Mapping[str, CopiedFile], gone: Set[str], changed: Set[str]) -> dict[str, CopiedFile]:
        """See `Store`."""
        loose = {name: file for name, file in files.items() if file.shard is None}
        kept = self.tree.begin(loose, gone & loose.keys(), changed & loose.keys())
        for shard, inside in _by_shard(files).items():
            end = max(_end(file) for file in inside.values())
            if not inside.keys() & (gone | changed) and size_of(self.folder / shard) >= end:
                kept |= inside
                self._ends[shard], self._counts[shard] = end, len(inside)
        for name in filter(SHARD_FORM.fullmatch, os.listdir(self.folder)):
            if name not in self._ends:
                (self.folder / name).unlink()
            elif size_of(self.folder / name) != _size_when_closed(self._ends[name]):
                self._open(name)  # its writer was killed
                self.close()
        return kept

    def put(self, copied: CopiedFile, path: Path) -> CopiedFile:
        """See `Store`."""
        if copied.frames is None:
            return self.tree.put(copied, path)
        if self._tar is None or self._ends[self._name] >= self.shard_bytes:
            self.close()
            self._open(self._next_shard())
        content = path.read_bytes()
        # Numbers and not the name, in which WebDataset would take all after the first dot for the ending.
        key = f"{SHARD_FORM.fullmatch(self._name)[1]}{self._counts[self._name]:06d}"
        facts = {"path": copied.name, "source": copied.source, "frames": copied.frames}
        self._append(f"{key}.json", json.dumps(facts).encode())
        start = self._append(f"{key}.mp4", content)
        self._tar.fileobj.flush()  # before it is noted
        self._ends[self._name], self._counts[self._name] = self._tar.offset, self._counts[self._name] + 1
        path.unlink()
        return replace(copied, shard=self._name, start=start, crc=zlib.crc32(content))

    def close(self) -> None:
        """See `Store`."""
        if self._tar is not None:
            tar, self._tar = self._tar, None
            with tar.fileobj:
                tar.close()  # writes the blocks that end a tar file

    def _next_shard(self) -> str:
        """Return the first shard that is not full or not there: `shard-{000000..000009}.tar` allows no gaps."""
        names = map(SHARD.format, range(10**6))
        return next(name for name in names if self._ends.get(name, 0) < self.shard_bytes)

    def _open(self, name: str) -> None:
        """Open a shard behind its last video; what follows is an unfinished one, or the end of the tar file."""
        end = self._ends.setdefault(name, 0)
        self._counts.setdefault(name, 0)
        file = (self.folder / name).open("r+b" if end else "w+b")
        file.truncate(end)
        file.seek(end)
        self._name, self._tar = name, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def _append(self, name: str, content: bytes) -> int:
        """Append an entry; return where its content begins."""
        entry = tarfile.TarInfo(name)  # without a time: the same videos make the same tar file
        entry.size = len(content)
        start = self._tar.offset + tarfile.BLOCKSIZE
        self._tar.addfile(entry, io.BytesIO(content))
        return start


def _by_shard(files: Mapping[str, CopiedFile]) -> dict[str, dict[str, CopiedFile]]:
    found: dict[str, dict[str, CopiedFile]] = {}
    for name, file in files.items():
        if file.shard is not None:
            found.setdefault(file.shard, {})[name] = file
    return found


def _end(file: CopiedFile) -> int:
    """Return the position behind a video in its shard, up to which the tar file is filled."""
    return -(-(file.start + file.size) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _size_when_closed(end: int) -> int:
    return -(-(end + 2 * tarfile.BLOCKSIZE) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE
