"""Copies a dataset: every video written anew, every other file as it is, in the same folders under the same names."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from datamodules.errors import DataError, describe
from datamodules.parallel import map_in_processes, map_in_threads
from datamodules.shards.manifest import TREE_MANIFEST, CopiedFile
from datamodules.shards.stores import is_url
from datamodules.splits.lookup import Root, RootIndex, scan_root
from datamodules.splits.video_names import is_video, name_in_copy
from datamodules.transcode.journal import Journal, open_journal
from datamodules.transcode.shard_store import ShardStore
from datamodules.transcode.stores import Store, TreeStore
from datamodules.transcode.video import VideoSettings, transcode_video
from datamodules.video.clip_files import clip_version

SCRATCH = ".transcode.unfinished-"
ORDER_SEED = 0


class Task(NamedTuple):
    """A file to copy: its name in the copy, its name and path in the dataset, and its version (see `clip_version`)."""

    name: str
    source: str
    path: str
    version: tuple[int, int] | None


class Outcome(NamedTuple):
    """What became of a file: the number of its frames, if it is a video, or why it could not be copied."""

    frames: int | None = None
    error: str | None = None


@dataclass
class DatasetCopy:
    """A copy that is being written; `open_copy` makes it.

    Attributes:
        journal: What it has.
        store: Where its files go.
        settings: How videos are written.
        scratch: Folder of unfinished files.
        tasks: What is still to be done.
        num_kept: Videos of an earlier command.
        num_changed: Videos whose source has changed since.
        num_gone: Videos whose source is no longer there, and which are removed.
        errors: Source -> why it could not be copied.
    """

    journal: Journal
    store: Store
    settings: VideoSettings
    scratch: Path
    tasks: list[Task]
    num_kept: int = 0
    num_changed: int = 0
    num_gone: int = 0
    errors: dict[str, str] = field(default_factory=dict)

    def run(self, num_workers: int) -> Iterator[Task]:
        """Copy what is left to do, and complete the manifest. Closed before its end, the copy can be continued.

        Args:
            num_workers: Number of processes.

        Yields:
            Each video or other file as it is done, whether well or not.

        Raises:
            OSError: The copy cannot be written.
        """
        for task in self.tasks:
            if task.version is None:
                self.errors[task.source] = "cannot be read"
        numbered = [(number, task) for number, task in enumerate(self.tasks) if task.version is not None]
        work = partial(copy_file, scratch=str(self.scratch), settings=self.settings)
        crashed = Outcome(error="crashes the decoder")
        with closing(map_in_processes(work, numbered, num_workers, lambda item: crashed)) as done:
            for (number, task), outcome in done:
                self._take(task, outcome, self.scratch / str(number))
                yield task
        self.store.close()
        self.journal.finish()

    def _take(self, task: Task, outcome: Outcome, path: Path) -> None:
        """Put a file that is done to its place and note it, or note its error."""
        if outcome.error is not None:
            self.errors[task.source] = outcome.error
            return
        size = path.stat().st_size
        copied = CopiedFile(task.name, task.source, *task.version, size, outcome.frames)
        self.journal.add(self.store.put(copied, path))


@contextmanager
def open_copy(source: Root, folder: Path, settings: VideoSettings, shard_bytes: int | None) -> Iterator[DatasetCopy]:
    """Find out what is to be done for a copy of a dataset, and remove what must not stay.

    Args:
        source: The dataset.
        folder: Folder of the copy: new, empty, or one that an earlier call has begun.
        settings: How videos are written.
        shard_bytes: Size of a tar shard; None writes a tree of files.

    Raises:
        DataError: The dataset is not there or has two files of one name, or the folder is that of something else.
        OSError: The folder cannot be written.
    """
    index = scan_root(source)
    tasks = _list_tasks(index, folder)
    store = TreeStore(folder) if shard_bytes is None else ShardStore(folder, shard_bytes)
    facts = {"source": str(source if is_url(source) else Path(source).resolve()), **asdict(settings)}
    with open_journal(folder, store.manifest, facts) as journal:
        for left in folder.glob(f"{SCRATCH}*"):  # of a command that was killed
            shutil.rmtree(left, ignore_errors=True)
        # Under a new name, so that processes which outlive a kill cannot write among new files.
        scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=folder))
        try:
            yield _plan(journal, store, settings, scratch, tasks)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            store.close()


def copy_file(numbered: tuple[int, Task], scratch: str, settings: VideoSettings) -> Outcome:
    """Copy a file to the scratch folder, under its number.

    Args:
        numbered: A number and the file.
        scratch: Folder of unfinished files.
        settings: How videos are written.

    Raises:
        OSError: The folder cannot be written.
    """
    number, task = numbered
    target = f"{scratch}/{number}"
    try:
        if is_video(task.source):
            return Outcome(transcode_video(task.path, target, settings))
        with open(target, "wb") as output:
            output.writelines(_read_chunks(task.path))
    except DataError as error:
        return Outcome(error=str(error).removeprefix(f"{task.path} "))
    return Outcome()


def _read_chunks(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as content:
            while chunk := content.read(1 << 20):
                yield chunk
    except OSError as error:
        raise DataError(f"{path} cannot be read ({describe(error)}).") from error


def _list_tasks(index: RootIndex, folder: Path) -> list[Task]:
    """List the files of a dataset, with their versions."""
    if folder.resolve().is_relative_to(index.root.resolve()):
        raise DataError(f"{folder} is inside of {index}, where the next copy would copy it; name another folder.")
    names: dict[str, str] = {}
    for source in sorted(index.files - {TREE_MANIFEST}):  # the dataset may be such a copy itself
        name = name_in_copy(source)
        if name in names:
            raise DataError(f"{names[name]} and {source} in {index} would both become {name}; rename one of them.")
        names[name] = source
    paths = [index.path_of(source) if is_video(source) else str(index.annotation(source)) for source in names.values()]
    versions = map_in_threads(_version, paths)
    return [Task(*entry) for entry in zip(names, names.values(), paths, versions, strict=True)]


def _version(path: str) -> tuple[int, int] | None:
    try:
        return clip_version(path)
    except (OSError, DataError):
        return None


def _plan(journal: Journal, store: Store, settings: VideoSettings, scratch: Path, tasks: Sequence[Task]) -> DatasetCopy:
    present = {task.name: task for task in tasks}
    before = journal.files
    gone = before.keys() - present.keys()
    changed = {name for name, file in before.items() if name not in gone and _has_changed(file, present[name])}
    kept = store.begin(before, gone, changed)
    journal.restart(kept)
    left = [task for task in tasks if task.name not in kept]
    if isinstance(store, ShardStore):  # so that who streams the shards meets the classes mixed
        random.Random(ORDER_SEED).shuffle(left)
    counts = (sum(map(is_video, names)) for names in (kept, changed, gone))
    return DatasetCopy(journal, store, settings, scratch, left, *counts)


def _has_changed(file: CopiedFile, task: Task) -> bool:
    return (file.source, (file.source_size, file.source_modified)) != (task.source, task.version)
