"""Reads a safetensors file with the frames of a clip, by itself.

The library maps a file into memory, which takes three times as long as reading the few frames that a view needs.
"""

from __future__ import annotations

import json
import math
from typing import Any, BinaryIO

import numpy as np

MAX_HEADER = 100_000  # bytes; the path of the video is most of it


class StoredClip:
    """The open file of a clip: its facts, and some of its frames.

    Args:
        stream: The file, in binary and unbuffered.

    Attributes:
        facts: Its metadata.

    Raises:
        OSError, LookupError, TypeError, ValueError: It is damaged.
    """

    def __init__(self, stream: BinaryIO) -> None:
        # The format: the length of the header in eight bytes, the header as JSON, and the tensors one after the other.
        length = int.from_bytes(stream.read(8), "little")
        if length > MAX_HEADER:
            raise ValueError(f"a header of {length} bytes")
        self._stream, self._start = stream, 8 + length
        self._tensors: dict[str, Any] = json.loads(stream.read(length))
        self.facts: dict[str, str] = self._tensors["__metadata__"]

    def read_numbers(self, name: str) -> np.ndarray:
        """Read a tensor of int64 numbers."""
        start, end = self._tensors[name]["data_offsets"]
        self._stream.seek(self._start + start)
        return np.frombuffer(self._stream.read(end - start), dtype="<i8")

    def read_frames(self, name: str, positions: list[int], memory: Memory) -> np.ndarray:
        """Read some frames of a uint8 tensor of (n, H, W, 3), in the order of their positions."""
        (number, *shape), (start, end) = self._tensors[name]["shape"], self._tensors[name]["data_offsets"]
        if number * math.prod(shape) != end - start:
            raise ValueError("frames of another size than the file has")
        frames = memory.take((len(positions), *shape))
        for frame, position in zip(frames, positions, strict=True):
            self._stream.seek(self._start + start + position * math.prod(shape))
            # Where fewer bytes are left, the frame keeps some of an earlier one, and its checksum tells.
            self._stream.readinto(frame)
        return frames


class Memory:
    """Memory that is used again and again: the system takes longer to give new memory than a file to fill it."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, dtype=np.uint8)

    def take(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return it as an uint8 array, larger than before where necessary."""
        size = math.prod(shape)
        if self._bytes.size < size:
            self._bytes = np.empty(size, dtype=np.uint8)
        return self._bytes[:size].reshape(shape)
