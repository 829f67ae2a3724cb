"""The manifest of a copy of a dataset: JSON lines, one that says how it was made and one for each file.

It is written line by line as files are done, so that an interrupted copy goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from datamodules.errors import DataError
from datamodules.shards.byte_range import ByteRange

SHARDS_MANIFEST = "shards.jsonl"
"""Beside the tar files; a folder or URL with this file is read as shards."""
TREE_MANIFEST = "transcode.jsonl"
"""In a copy of files; nothing reads it but the command that wrote it."""
FORMAT = 1


@dataclass(frozen=True)
class CopiedFile:
    """A file of a copy.

    Attributes:
        name: Its path in the copy, with forward slashes.
        source: Its path in the dataset: another one if the container has changed.
        source_size: Size of the source, in bytes.
        source_modified: Time of its last change, in nanoseconds; its checksum, if the dataset is in shards itself.
        size: Size of the copy, in bytes.
        frames: Number of frames of a video; None for any other file.
        shard: Name of the tar file with it; None for a file of its own.
        start: Its first byte there.
        crc: CRC-32 of its bytes.
    """

    name: str
    source: str
    source_size: int
    source_modified: int
    size: int
    frames: int | None = None
    shard: str | None = None
    start: int = 0
    crc: int = 0

    def path_below(self, root: str) -> str:
        """Return its path: below a root, or as a range of a shard."""
        if self.shard is None:
            return f"{root}/{self.name}"
        return str(ByteRange(f"{root}/{self.shard}", self.start, self.size, self.crc))

    def line(self) -> str:
        """Return its line of the manifest."""
        facts = asdict(self)
        if self.shard is None:
            facts = {key: value for key, value in facts.items() if key not in ("shard", "start", "crc")}
        return json.dumps(facts) + "\n"  # in ASCII: some names are no valid text


@dataclass(frozen=True)
class Manifest:
    """How a copy was made, and what it has.

    Attributes:
        facts: How it was made, such as the size of its videos.
        is_complete: Whether the copy has ended, as opposed to been interrupted.
        files: Name -> file.
    """

    facts: Mapping[str, Any]
    is_complete: bool = False
    files: dict[str, CopiedFile] = field(default_factory=dict)

    def text(self) -> str:
        """Return the whole manifest, sorted by name."""
        head = json.dumps({"tcclip_copy": FORMAT, "complete": self.is_complete, **self.facts})
        return head + "\n" + "".join(self.files[name].line() for name in sorted(self.files))


def parse_manifest(text: str, place: str) -> Manifest:
    """Parse a manifest. Of several lines for a file the last one counts; an unfinished last line is left out.

    Args:
        text: Its content.
        place: Where it was read, for messages.

    Raises:
        DataError: It is no manifest, or is damaged.
    """
    head, *lines = text.split("\n")[:-1] or [""]  # what follows the last line break is nothing, or half of a line
    try:
        facts = json.loads(head)
        form, is_complete = facts.pop("tcclip_copy"), facts.pop("complete")
        files = [CopiedFile(**json.loads(line)) for line in lines]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{place} is no manifest of `tcclip transcode`, or damaged; write the copy anew.") from error
    if form != FORMAT:
        raise DataError(f"{place} has format {form}, and this version reads {FORMAT}; write the copy anew.")
    return Manifest(facts, is_complete, {file.name: file for file in files})
