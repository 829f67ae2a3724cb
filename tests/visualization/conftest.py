"""A synthetic video of 3 frames with 2 x 2 patches of 8 pixels, and 4 context tokens."""

import numpy as np
import pytest
import torch

NO_SEED = -1


@pytest.fixture
def images():
    return np.random.default_rng(0).random((3, 16, 16, 3), dtype=np.float32)


@pytest.fixture
def tokens():
    """The context token of each patch, (T, P). Token 0 is in all frames, token 3 in frames 0 and 2."""
    return np.array([[0, 3, NO_SEED, 1], [0, 0, 2, NO_SEED], [NO_SEED, 0, 3, 3]])


@pytest.fixture
def sources(tokens):
    """The same map as sources, (K, T * P) bool."""
    return torch.from_numpy(tokens.ravel() == np.arange(4)[:, None])


@pytest.fixture
def attention():
    """(T, H, N, N + K) with 2 heads; rows sum to 1."""
    return torch.randn(3, 2, 5, 5 + 4, generator=torch.Generator().manual_seed(0)).softmax(-1)
