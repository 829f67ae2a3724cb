"""The frames of clips, decoded once: read from a `FrameStore`, and decoded into it where they are not there yet."""

from __future__ import annotations

import hashlib
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import get_worker_info
from torchvision.transforms import v2

from datamodules.video.clip_files import absolute_path, clip_version
from datamodules.video.frame_store import FrameStore, StoreError
from datamodules.video.pictures import ChooseFrames
from datamodules.video.stored_clip import Memory, StoredClip
from datamodules.video.truncation import open_whole

# Goes up when the same file and settings give other frames, or these are stored in another way.
FORMAT = "2"
# Of the full-size pictures of a whole clip, while it is decoded: every worker may hold as many at once.
MAX_WHOLE_BYTES = 2**30
BLOCK = 4096  # bytes that are added up before they count in a checksum

# Decodes the frames that `choose` returns: (*shape of the indices, H, W, 3) uint8.
Decode = Callable[[ChooseFrames], Tensor]


class Source(NamedTuple):
    """What a clip is decoded from.

    Attributes:
        name: Names it on this machine.
        version: Changes when its content does.
    """

    name: str
    version: str


def identify(path: str) -> Source:
    """Return the source of a clip.

    Raises:
        OSError: It is not there.
        DataError: It is in a shard that is not there, or too short.
    """
    size, changed = clip_version(path)
    return Source(absolute_path(path), f"{size} bytes of {changed}")


class Stored(NamedTuple):
    """What is stored of a clip.

    Attributes:
        numbers: Numbers of its frames.
        frames: Those that were asked for; None if some of these are not stored.
    """

    numbers: np.ndarray
    frames: Tensor | None


@dataclass
class FrameCache:
    """Reads frames of clips from a store, in the size that crops are taken from.

    Frames are found by number, so that other views of a clip share its entry. What is there is checked against the
    version of its file and, frame by frame, against a checksum; whatever does not hold is decoded anew.

    Attributes:
        store: The store.
        short_side: Size that frames are resized to before they are stored, as `Resize(short_side)` of torchvision does.
        decoding: How they are decoded, as far as they depend on it.
        whole: Whether a clip is stored with all its frames, as training takes others in every epoch, and not only with
            those that were asked for.
    """

    store: FrameStore
    short_side: int
    decoding: str
    whole: bool
    _is_closed: bool = False  # once something could not be stored
    _uncached: set[str] = field(default_factory=set)  # clips that are decoded every time
    _memory: Memory = field(default_factory=Memory)  # of the frames last read

    def read(self, path: str, choose: ChooseFrames, decode: Decode) -> Tensor:
        """Return the frames that `choose` wants: those of `decode(choose)`, resized.

        Args:
            path: The clip.
            choose: See `decode_frames`.
            decode: Decodes the clip.

        Returns:
            (*shape of the indices, H, W, 3) uint8, until the next call: it uses the same memory again.

        Raises:
            DataError: It is not in the store, and cannot be decoded.
        """
        try:
            source = identify(path)
        except OSError:
            return self._resize(decode(choose))  # which says what is wrong
        facts = (FORMAT, source.name, str(self.short_side), self.decoding)
        key = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]
        stored = self._find(key, source, choose)
        if stored is not None and stored.frames is not None:
            return stored.frames
        if self._is_closed or path in self._uncached:
            return self._resize(decode(choose))
        return self._decode_and_store(path, key, source, choose, decode, stored)

    def _resize(self, frames: Tensor) -> Tensor:
        resize = v2.Resize(self.short_side, antialias=True)
        return resize(frames.movedim(-1, -3)).movedim(-3, -1)

    def _find(self, key: str, source: Source, choose: ChooseFrames) -> Stored | None:
        """Return what is stored of a clip; None if nothing is, or nothing that holds."""
        try:
            with open(self.store.file_of(key), "rb", buffering=0) as stream:
                clip = StoredClip(stream)
                if clip.facts["source"] != source.name or clip.facts["version"] != source.version:
                    return None
                num_available, numbers = int(clip.facts["num_available"]), clip.read_numbers("numbers")
                wanted = choose(num_available)
                if not np.isin(wanted, numbers).all():
                    return Stored(numbers, None)
                positions = np.searchsorted(numbers, wanted.ravel())
                checksums = clip.read_numbers("checksums")[positions].tolist()
                frames = clip.read_frames("frames", positions.tolist(), self._memory)
        except (OSError, LookupError, TypeError, ValueError):  # absent or damaged
            return None
        if _checksums(frames, wanted.ravel(), num_available) != checksums:
            return None
        return Stored(numbers, torch.from_numpy(frames).unflatten(0, wanted.shape))

    def _decode_and_store(
        self, path: str, key: str, source: Source, choose: ChooseFrames, decode: Decode, stored: Stored | None
    ) -> Tensor:
        asked: list[tuple[int, np.ndarray, np.ndarray]] = []

        def choose_more(num_available: int) -> np.ndarray:
            numbers = wanted = choose(num_available)
            if stored is not None:
                numbers = np.union1d(numbers, stored.numbers)
            numbers = np.unique(numbers[(numbers >= 0) & (numbers < num_available)])  # stored numbers may be damaged
            if self.whole:
                if is_large := _exceeds_memory(path, num_available):
                    self._leave_out(path, is_large)
                else:
                    numbers = np.arange(num_available)
            asked.append((num_available, numbers, wanted))
            return numbers

        frames = self._resize(decode(choose_more))
        num_available, numbers, wanted = asked[-1]
        if len(asked) > 1 and asked[0][0] == asked[1][0]:
            # Asked twice with the same number: the index of the file is wrong somewhere. A decoder that trusts it finds
            # other frames, as long as it does not come by that place.
            self._leave_out(path, "its index of frames is damaged")
            return self._resize(decode(choose))
        if path not in self._uncached:
            self._store(key, source, num_available, numbers, frames)
        return frames[torch.from_numpy(np.searchsorted(numbers, wanted))]

    def _store(self, key: str, source: Source, num_available: int, numbers: np.ndarray, frames: Tensor) -> None:
        frames = frames.contiguous()
        checksums = torch.tensor(_checksums(frames.numpy(), numbers, num_available))
        tensors = {"numbers": torch.from_numpy(numbers), "checksums": checksums, "frames": frames}
        facts = {"source": source.name, "version": source.version, "num_available": str(num_available)}
        try:
            self.store.add(key, tensors, facts)
        except StoreError as error:
            self._is_closed = True
            if (worker := get_worker_info()) is None or worker.id == 0:  # one of them is enough to say it
                warnings.warn(f"{error} The clips that it lacks are decoded every time.", stacklevel=2)

    def _leave_out(self, path: str, reason: str) -> None:
        """Note a clip that is decoded every time; say so of the first."""
        if not self._uncached:
            message = f"{path} is not cached, but decoded every time: {reason}. Further ones are not named."
            warnings.warn(message, stacklevel=2)
        self._uncached.add(path)


def _exceeds_memory(path: str, num_available: int) -> str | None:
    """Return why a whole clip may not be held in memory; None if it may."""
    with open_whole(path) as (_, stream):
        width, height = stream.width, stream.height
    if num_available * width * height * 3 <= MAX_WHOLE_BYTES:
        return None
    limit = f"the {MAX_WHOLE_BYTES >> 30} GB of memory that it may take meanwhile"
    return f"its {num_available} frames of {width} x {height} exceed {limit}; shrink or cut it"


def _checksums(frames: np.ndarray, numbers: np.ndarray, num_available: int) -> list[int]:
    """Return a checksum of each frame, of its number, and of the number of all.

    The CRC of the sums of a frame's blocks takes a tenth of the time of its own. A changed byte changes the sum of its
    block, and a block elsewhere the order of the sums.
    """
    content = frames.reshape(len(frames), -1)
    whole = content.shape[1] // BLOCK * BLOCK
    blocks = content[:, :whole].view("<u8").reshape(len(content), -1, BLOCK // 8)
    sums = blocks.sum(axis=-1, dtype="<u8")  # modulo 2 ** 64
    places = [zlib.crc32(f"{number} of {num_available}".encode()) for number in numbers.tolist()]
    parts = zip(places, sums, content[:, whole:], strict=True)
    return [zlib.crc32(rest, zlib.crc32(own, place)) for place, own, rest in parts]
