"""A folder of clips as arrays, bounded in size, for any number of processes and runs at the same time.

One file for each clip, and not one database: damage stays within a clip, a shared file system will do, and deleting
files is all the care that it needs. A clip is written aside and then renamed, so that a reader sees all of it or
nothing, wherever its writer was killed.
"""

from __future__ import annotations

import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from datamodules.errors import DataError, describe

GB = 10**9
# The disk is that of checkpoints as often as not: a cache that filled it would end the run that it serves.
LEFT_FREE_GB = 4
ASIDE = "unfinished"  # files being written, and those of killed writers
ABANDONED_AFTER = 600  # seconds; writing takes less than one
LOCK_TIMEOUT = 60  # seconds; the lock is held for milliseconds


class StoreError(Exception):
    """A clip cannot be stored; the message says why in one sentence, and what to do."""


class FrameStore:
    """Stores clips under keys, up to a number of bytes.

    Clips are never evicted: an epoch reads all of them in turn, so that evicting the oldest would leave none for the
    next epoch, while a store that keeps what it has serves that share of the clips.

    Args:
        folder: The folder.
        limit_gb: Its greatest size, in GB of 10^9 bytes.
    """

    def __init__(self, folder: Path, limit_gb: float) -> None:
        self.folder, self.limit = folder, int(limit_gb * GB)
        self._used = folder / "used_bytes"

    def open(self) -> None:
        """Create the folder, remove what killed writers left, and measure it.

        Raises:
            DataError: It is a file, or cannot be written.
        """
        try:
            (self.folder / ASIDE).mkdir(parents=True, exist_ok=True)
            with self._lock():
                self._measure()
        except (FileExistsError, NotADirectoryError) as error:
            raise DataError(f"--data.cache {self.folder} is not a folder; give one, or a new name.") from error
        except (OSError, NotImplementedError) as error:  # the second where files cannot be locked
            raise DataError(
                f"--data.cache {self.folder} cannot be written ({describe(error)}); give a folder that can."
            ) from error

    def file_of(self, key: str) -> Path:
        """Return the file of a clip, whether it is there or not."""
        return self.folder / key[:2] / f"{key}.safetensors"

    def add(self, key: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
        """Store a clip in place of the one that its key had, if any.

        Args:
            key: Hexadecimal digits, at least two.
            tensors: The clip.
            metadata: Facts about it, for its reader.

        Raises:
            StoreError: The store or its disk is full, or cannot be written.
        """
        size = sum(tensor.nbytes for tensor in tensors.values())
        try:
            aside = self._reserve(key, size)
            try:
                save_file(dict(tensors), aside, dict(metadata))
                self._publish(aside, size, self.file_of(key))
            except BaseException:  # Ctrl-C as well
                self._release(aside, size)
                raise
        except (OSError, SafetensorError) as error:
            reason = describe(error).removeprefix("Error while serializing: ").removeprefix("I/O error: ")
            raise StoreError(f"The cache {self.folder} cannot be written ({reason}); see to its disk.") from error

    def _reserve(self, key: str, size: int) -> Path:
        """Claim room for a clip; return the file to write it to."""
        with self._lock():
            used = self._read_used() - self._remove(self.file_of(key))
            self._used.write_text(str(used))
            if used + size > self.limit:
                raise StoreError(
                    f"The cache {self.folder} is full ({self.limit / GB:g} GB); raise --data.cache_gb, or delete it if "
                    "it holds clips of other datasets or options."
                )
            if shutil.disk_usage(self.folder).free - size < LEFT_FREE_GB * GB:
                raise StoreError(
                    f"The disk of the cache {self.folder} has less than {LEFT_FREE_GB} GB left, which stay free "
                    "for checkpoints; free some, or give another --data.cache."
                )
            aside = self.folder / ASIDE / f"{key}.{size}.{uuid.uuid4().hex}"
            aside.touch()
            self._used.write_text(str(used + size))
        return aside

    def _publish(self, aside: Path, claimed: int, file: Path) -> None:
        with self._lock():
            file.parent.mkdir(exist_ok=True)
            replaced = self._remove(file)  # written by another process meanwhile
            header = aside.stat().st_size - claimed
            aside.replace(file)
            self._used.write_text(str(self._read_used() + header - replaced))

    def _release(self, aside: Path, size: int) -> None:
        with self._lock():
            aside.unlink(missing_ok=True)
            self._used.write_text(str(self._read_used() - size))

    @staticmethod
    def _remove(file: Path) -> int:
        """Remove a clip; return its size."""
        try:
            size = file.stat().st_size
        except FileNotFoundError:
            return 0
        file.unlink()
        return size

    def _read_used(self) -> int:
        try:
            return int(self._used.read_text())
        except (FileNotFoundError, ValueError):  # deleted, or its writer was killed
            return self._measure()

    def _measure(self) -> int:
        """Add up all clips, and those being written; remove what killed writers left."""
        now, used = time.time(), 0
        for file in (self.folder / ASIDE).iterdir():
            if now - file.stat().st_mtime > ABANDONED_AFTER:
                file.unlink()
            elif claim := re.fullmatch(r"[0-9a-f]+\.(\d+)\.[0-9a-f]+", file.name):
                used += int(claim[1])
        used += sum(file.stat().st_size for file in self.folder.glob("[0-9a-f][0-9a-f]/*.safetensors"))
        self._used.write_text(str(used))
        return used

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Keep other processes from changing the size; the operating system ends the lock of a killed one."""
        try:
            # A new one each time: a lock that lived in the object would be shared with forked workers.
            with FileLock(self.folder / "lock", LOCK_TIMEOUT, poll_interval=0.005):
                yield
        except Timeout as error:
            raise OSError(f"another process holds its lock for more than {LOCK_TIMEOUT} s") from error
