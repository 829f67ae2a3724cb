"""Full precision for the few steps that cannot do without it."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def without_autocast(tensor: Tensor) -> AbstractContextManager:
    """Return a context manager that turns autocast off on the device of ``tensor``."""
    # torch.autocast refuses the meta device, where no precision matters, and exported programs run without it.
    is_useless = tensor.is_meta or torch.compiler.is_exporting()
    return nullcontext() if is_useless else torch.autocast(tensor.device.type, enabled=False)
