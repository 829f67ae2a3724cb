"""One made-up video of 3 frames of 2 x 2 patches, 8 pixels each, with 4 context tokens."""

import numpy as np
import pytest
import torch

NO_SEED = -1


@pytest.fixture
def images():
    return np.random.default_rng(0).random((3, 16, 16, 3), dtype=np.float32)


@pytest.fixture
def tokens():
    """The context token of each patch, (T, P); token 3 is in frames 0 and 2, token 0 in all three."""
    return np.array([[0, 3, NO_SEED, 1], [0, 0, 2, NO_SEED], [NO_SEED, 0, 3, 3]])


@pytest.fixture
def sources(tokens):
    """The same as (K, T * P) bool."""
    return torch.from_numpy(tokens.ravel() == np.arange(4)[:, None])


@pytest.fixture
def attention():
    """(T, H, N, N + K) with 2 heads; rows add up to 1."""
    return torch.randn(3, 2, 5, 5 + 4, generator=torch.Generator().manual_seed(0)).softmax(-1)
