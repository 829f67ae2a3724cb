"""Random draws that depend on a clip's seed and on nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Lets torch's CPU generator, from which torchvision's transforms draw, start at `seed`; restores it afterwards.

    Args:
        seed: A non-negative whole number below 2**63.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
