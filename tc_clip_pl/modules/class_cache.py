"""Keeps the encoding of the class names between evaluation batches, and knows when it no longer holds."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from tc_clip_pl.modules.outputs import ClassEncoding


def fingerprint(tensors: Iterable[Tensor]) -> tuple[object, ...]:
    """A value that changes when any of the tensors does.

    Autograd counts in-place changes and notices a move or a cast; the norms catch what goes round it, such as a write
    through ``.data``. They cost a pass over the weights, well under a thousandth of encoding a batch of videos.
    """
    tensors = list(tensors)
    marks = tuple((t.data_ptr(), t.dtype, t.device, 0 if t.is_inference() else t._version) for t in tensors)
    floating = [t.detach() for t in tensors if t.is_floating_point()]
    norms = torch.stack(torch._foreach_norm(floating, 2, dtype=torch.float64))
    return marks, tuple(norms.tolist())


class ClassCache:
    """Holds the last `ClassEncoding` with the fingerprint of all that it was made from."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] | None = None
        self._encoding: ClassEncoding | None = None

    def get(self, tensors: Iterable[Tensor], encode: Callable[[], ClassEncoding]) -> ClassEncoding:
        """The stored encoding, or a new one where the tensors, the autocast or the inference mode have changed.

        Args:
            tensors: weights and token ids that the encoding depends on.
            encode: makes a new one; called without gradient.
        """
        tensors = list(tensors)
        device = tensors[0].device.type
        autocast = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
        key = (fingerprint(tensors), autocast, torch.is_inference_mode_enabled())
        if self._encoding is None or self._key != key:
            self._key, self._encoding = key, encode()
        return self._encoding

    def clear(self) -> None:
        """Forgets the encoding."""
        self._key = self._encoding = None
