"""A data root that is a folder or a URL of shards."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from zlib import crc32

from datamodules.errors import DataError
from datamodules.shards.manifest import SHARDS_MANIFEST, CopiedFile, parse_manifest
from datamodules.shards.stores import is_url, read_bytes


class ShardedRoot:
    """The files that a manifest lists.

    Args:
        root: Folder or URL of the shards.
        files: Name -> where it is.

    Attributes:
        folder: Where annotation files are read: the root itself, or a temporary folder with its name.
    """

    def __init__(self, root: str, files: dict[str, CopiedFile]) -> None:
        self.root, self.files = root, files
        self.folder = _local_folder(root) if is_url(root) else Path(root)

    def path_of(self, file: str) -> str:
        """Return where a file can be read: below the root, or as a range of a shard."""
        return self.files[file].path_below(self.root)

    def fetch(self, file: str) -> Path:
        """Return the path of an annotation file; of a URL, that of a copy, fetched now.

        Raises:
            DataError: It cannot be fetched.
        """
        local = self.folder / file
        if is_url(self.root):
            content = read_bytes(self.path_of(file))
            local.parent.mkdir(parents=True, exist_ok=True)
            local.write_bytes(content)
        return local


def open_sharded(root: str) -> ShardedRoot | None:
    """Open a root with shards; None for a folder of files.

    Raises:
        DataError: A URL has no manifest, or a manifest is damaged or that of an unfinished copy.
    """
    place = f"{root}/{SHARDS_MANIFEST}"
    if not is_url(root) and not os.path.isfile(place):
        return None
    try:
        content = read_bytes(place)
    except DataError as error:
        if not is_url(root):
            raise
        raise DataError(
            f"{error} A URL of videos needs the {SHARDS_MANIFEST} that `tcclip transcode SOURCE DEST --shards` writes."
        ) from error
    manifest = parse_manifest(content.decode("ascii", errors="replace"), place)
    if not manifest.is_complete:
        raise DataError(f"The shards in {root} are not complete; run the `tcclip transcode` that writes them again.")
    return ShardedRoot(root, manifest.files)


def _local_folder(url: str) -> Path:
    # A name of its own for every URL, and below it the name that reports show.
    folder = Path(_temporary().name, f"{crc32(url.encode()):08x}", url.rstrip("/").rpartition("/")[2] or "shards")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that lasts as long as the process."""
    return tempfile.TemporaryDirectory(prefix="tcclip-")
