"""Keeps the encoding of the class names between evaluation batches."""

from collections.abc import Callable
from typing import Any

import torch


class ClassCache:
    """Holds the last encoding of the classes until it is cleared.

    It cannot see whether a weight has changed: whoever changes one clears the cache (`TCCLIP.clear_class_cache`).
    """

    def __init__(self) -> None:
        self._mode: tuple[object, ...] | None = None
        self._encoding: Any = None

    def get(self, device_type: str, encode: Callable[[], Any]) -> Any:
        """Return the stored encoding, or a new one if there is none or the precision or grad mode has changed.

        Args:
            device_type: Of the weights, such as "cuda": autocast is set per type.
            encode: Makes a new encoding; called without gradient.
        """
        # Autocast decides the dtype, and tensors made in inference mode must not leave it.
        mode = (
            torch.is_autocast_enabled(device_type),
            torch.get_autocast_dtype(device_type),
            torch.is_inference_mode_enabled(),
        )
        if self._mode != mode:
            self._mode, self._encoding = mode, encode()
        return self._encoding

    def clear(self) -> None:
        """Drop the encoding."""
        self._mode = self._encoding = None
