"""Random draws that depend on a clip's seed alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global CPU generator, from which torchvision's transforms draw, and restore it afterwards.

    Args:
        seed: A non-negative integer below 2**63.
    """
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which also seeds every GPU: fork_rng restores only the CPU generator here.
        torch.default_generator.manual_seed(seed)
        yield
