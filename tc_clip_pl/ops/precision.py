"""Where the precision of mixed training is not enough."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def without_autocast(tensor: Tensor) -> AbstractContextManager:
    """Switches autocast off on the device of ``tensor``; a meta device has none."""
    return nullcontext() if tensor.is_meta else torch.autocast(tensor.device.type, enabled=False)
