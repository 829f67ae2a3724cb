"""`VideoIndex`: the vectors of many videos in a folder.

`index.json` says which model made the vectors, how the videos were cut into windows, and which shards hold them. A
shard is a safetensors file with `vectors` and `times` of some videos, whose names, marks and window counts are in its
metadata; it is never changed. What is in the index is what `index.json` names, and that file is replaced in one step,
so that the index is whole whenever its writer stops.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from datamodules.errors import DataError
from tc_clip_pl.search.embedding import VideoVectors

FILE_NAME = "index.json"
SHARD_NAME = "vectors-{:06d}.safetensors"
FORMAT = 1
FULL_SHARD = 4096
"""Videos of a shard that `compact` leaves as it is."""


@dataclass(frozen=True)
class IndexSettings:
    """What all vectors of an index have in common.

    Attributes:
        model: The source of the model, as given; a local one absolute.
        weights: `hash_weights` of the model.
        input: The fields of `ClipOptions` that the model prescribes.
        window: Length of a window, in seconds.
        stride: From the start of a window to that of the next, in seconds.
    """

    model: str
    weights: str
    input: dict[str, Any]
    window: float
    stride: float


@dataclass(frozen=True)
class Shard:
    """One file of an index.

    Attributes:
        name: Of the file.
        videos: (video, mark, number of windows) in the order of the rows.
    """

    name: str
    videos: list[tuple[str, str, int]]


class VideoIndex:
    """An index folder. Reading needs nothing else; `writing` locks it against a second writer.

    Args:
        folder: With an `index.json`.

    Attributes:
        settings: What its vectors have in common.
        shards: Its files, in order.

    Raises:
        DataError: There is no index, or it is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        file = self.folder / FILE_NAME
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
            names, form = stored.pop("shards"), stored.pop("format")
            self.settings = IndexSettings(**stored)
        except OSError as error:
            raise DataError(f"{folder} is no index ({error.strerror}: {file}); write one by `tcclip index`.") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(f"{file} is damaged ({error}); remove {folder} and index the videos again.") from error
        if form != FORMAT:
            raise DataError(f"{file} has format {form}, and this version reads {FORMAT}; index the videos again.")
        self.shards = [self._open_shard(name) for name in names]

    @classmethod
    def create(cls, folder: str | Path, settings: IndexSettings) -> VideoIndex:
        """Make an empty index.

        Raises:
            DataError: The folder has other files.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise DataError(f"{folder} has files, but no {FILE_NAME}: name a new folder for the index.")
        _write_json(folder / FILE_NAME, {"format": FORMAT, **asdict(settings), "shards": []})
        return cls(folder)

    @staticmethod
    def exists(folder: str | Path) -> bool:
        """Return whether a folder holds an index."""
        return (Path(folder) / FILE_NAME).is_file()

    @property
    def marks(self) -> dict[str, str]:
        """The mark that each video had when it was embedded."""
        return {video: mark for shard in self.shards for video, mark, _ in shard.videos}

    @property
    def num_windows(self) -> int:
        """The number of vectors."""
        return sum(count for shard in self.shards for _, _, count in shard.videos)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Lock the index for the block, and remove what an interrupted writer left.

        Raises:
            DataError: Another process is writing it.
        """
        with (self.folder / FILE_NAME).with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise DataError(f"Another process is writing {self.folder}; wait until it has finished.") from error
            self.shards = VideoIndex(self.folder).shards  # another writer may have finished meanwhile
            self._remove_leftovers()
            yield

    def add(self, found: Sequence[VideoVectors], marks: Mapping[str, str]) -> None:
        """Add videos as a new shard; those with an error are left out."""
        good = [video for video in found if video.error is None]
        if good:
            videos = [(video.video, marks[video.video], len(video.vectors)) for video in good]
            tensors = {name: np.concatenate([getattr(v, name) for v in good]) for name in ("times", "vectors")}
            self._replace([*self.shards, self._write_shard(videos, tensors)])

    def drop(self, videos: Collection[str]) -> None:
        """Remove videos."""
        kept = []
        for shard in self.shards:
            rest = [row for row in shard.videos if row[0] not in videos]
            if len(rest) == len(shard.videos):
                kept.append(shard)
            elif rest:
                mask = np.repeat([row[0] not in videos for row in shard.videos], [row[2] for row in shard.videos])
                tensors = {name: tensor[mask] for name, tensor in self._read(shard).items()}
                kept.append(self._write_shard(rest, tensors))
        self._replace(kept)

    def compact(self) -> None:
        """Join neighboring small shards."""
        groups: list[list[Shard]] = []
        for shard in self.shards:
            if groups and sum(len(each.videos) for each in groups[-1]) + len(shard.videos) <= FULL_SHARD:
                groups[-1].append(shard)
            else:
                groups.append([shard])
        self._replace([self._join(group) if len(group) > 1 else group[0] for group in groups])

    def read(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Read all N vectors.

        Returns:
            The video of each, their (N, 2) start and end in seconds, and the (N, E) vectors at unit norm.
        """
        videos = [video for shard in self.shards for video, _, count in shard.videos for _ in range(count)]
        parts = [self._read(shard) for shard in self.shards]
        if not videos:
            raise DataError(f"{self.folder} has no videos yet; add some by `tcclip index`.")
        times, vectors = (np.concatenate([part[name] for part in parts]) for name in ("times", "vectors"))
        return videos, times, vectors

    def _join(self, group: list[Shard]) -> Shard:
        parts = [self._read(shard) for shard in group]
        tensors = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return self._write_shard([row for shard in group for row in shard.videos], tensors)

    def _open_shard(self, name: str) -> Shard:
        with self._opened(name) as file:
            return Shard(name, [tuple(row) for row in json.loads(file.metadata()["videos"])])

    def _read(self, shard: Shard) -> dict[str, np.ndarray]:
        with self._opened(shard.name) as file:
            return {name: file.get_tensor(name) for name in ("times", "vectors")}

    @contextmanager
    def _opened(self, name: str) -> Iterator[Any]:
        try:
            with safe_open(self.folder / name, "numpy") as file:
                yield file
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            path = self.folder / name
            raise DataError(f"{path} is damaged ({error}); remove {self.folder} and index the videos again.") from error

    def _write_shard(self, videos: list[tuple[str, str, int]], tensors: Mapping[str, np.ndarray]) -> Shard:
        taken = [int(file.stem.partition("-")[2]) for file in self.folder.glob("vectors-*.safetensors")]
        path = self.folder / SHARD_NAME.format(1 + max(taken, default=0))
        unfinished = path.with_suffix(".unfinished")
        save_file(dict(tensors), unfinished, {"videos": json.dumps(videos)})
        unfinished.replace(path)
        return Shard(path.name, videos)

    def _replace(self, shards: list[Shard]) -> None:
        if shards != self.shards:
            self.shards = shards
            names = [shard.name for shard in shards]
            _write_json(self.folder / FILE_NAME, {"format": FORMAT, **asdict(self.settings), "shards": names})
            self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        names = {shard.name for shard in self.shards}
        for file in self.folder.iterdir():
            if file.suffix == ".unfinished" or (file.match("vectors-*.safetensors") and file.name not in names):
                file.unlink()


def _write_json(path: Path, content: dict[str, Any]) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, path)
