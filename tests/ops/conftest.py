"""The attention of a layer, for seed selection and aggregation."""

import pytest
import torch

from tc_clip_pl.ops.frame_attention import FrameAttention


def frame_attention(query, key, value, bias):
    """The attention of a layer that has the queries of all its tokens."""
    return FrameAttention(query[..., :1, :], lambda: query, key, value, bias, query.shape[-2])


@pytest.fixture
def attention():
    """Two videos, three frames of eleven patches, four heads, five context keys; float64."""
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 3, 4, 12, 8, generator=generator, dtype=torch.float64)
    key, value = (torch.randn(2, 3, 4, 17, 8, generator=generator, dtype=torch.float64) for _ in range(2))
    return frame_attention(query, key, value, torch.randn(4, 1, 17, generator=generator, dtype=torch.float64))
