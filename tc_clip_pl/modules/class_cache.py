"""Keeps the encoding of the class names between evaluation batches."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


class ClassCache:
    """Holds the last encoding of the classes, one for each set of weights, until it is cleared.

    It cannot see whether a weight has changed: whoever changes one clears the cache (`TCCLIP.clear_class_cache`), and
    whoever runs the model with other weights for a while says so (`TCCLIP.separate_class_cache`).
    """

    def __init__(self) -> None:
        self._weights: Hashable = None  # the model's own
        self._entries: dict[Hashable, tuple[tuple[object, ...], Any]] = {}  # by weights: mode, encoding

    def get(self, device_type: str, encode: Callable[[], Any]) -> Any:
        """Return the stored encoding, or a new one if there is none or the precision or grad mode has changed.

        Args:
            device_type: Of the weights, such as "cuda": autocast is set per type.
            encode: Makes a new encoding; called without gradient.
        """
        if device_type == "meta":  # there are no values to keep, and autocast does not know the device
            return encode()
        # Autocast decides the dtype, and tensors made in inference mode must not leave it.
        mode = (
            torch.is_autocast_enabled(device_type),
            torch.get_autocast_dtype(device_type),
            torch.is_inference_mode_enabled(),
        )
        # One mode per set of weights: a change of mode is rare, and old encodings would only take memory.
        if self._weights not in self._entries or self._entries[self._weights][0] != mode:
            self._entries[self._weights] = (mode, encode())
        return self._entries[self._weights][1]

    @contextmanager
    def separate(self, weights: Hashable) -> Iterator[None]:
        """Store and look up under this name inside the context."""
        previous, self._weights = self._weights, weights
        try:
            yield
        finally:
            self._weights = previous

    def clear(self) -> None:
        """Drop the encodings of all weights."""
        self._entries.clear()
