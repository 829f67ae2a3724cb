"""Random draws that depend on a clip's seed alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive_seed(seed: int, stream: int) -> int:
    """Return the seed of a further stream of draws for the same clip, below 2**63.

    Two uses of one seed would start with the same random numbers: mixed clips would be exactly the mirrored ones.

    Args:
        seed: The clip's seed.
        stream: Number of the stream, from 0; the seed itself belongs to none of them.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(stream,))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


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
