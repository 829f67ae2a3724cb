"""The contract of an aggregator: `Seeds` in, `Grouping` out.

To add one, a new file beside this one is all: `__init__.py` imports every file, and a function with
``@AGGREGATORS.register("name", reads=(...))`` is then a value of the option `aggregation`. `kmeans.py` is an example.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tc_clip_pl.ops.frame_attention import FrameAttention
from tc_clip_pl.ops.tokens import average_groups
from tc_clip_pl.registry import Registry


@dataclass
class Seeds:
    """The seed tokens of a batch of videos.

    Attributes:
        tokens: (B, T * S, D), frame by frame, in descending order of score within a frame.
        indices: (B, T, S) patch of each seed within its frame.
        attention: The attention of the layer, for aggregators that weigh seeds by it.
        match: A kernel for the rounds of bipartite matching (`use_kernels`), or None for the plain version.
    """

    tokens: Tensor
    indices: Tensor
    attention: FrameAttention
    match: Callable[[Tensor, int, int], Tensor] | None = None

    def pick(self, scores: Tensor) -> Tensor:
        """Pick the scores of the seeds, (B, T * S), from (B, T, P) scores of all patches."""
        return scores.gather(-1, self.indices).flatten(1)

    @property
    def detached(self) -> Tensor:
        """(B, T * S, D) tokens without gradient, in float32 or better despite autocast."""
        tokens = self.tokens.detach()
        return tokens.to(torch.promote_types(tokens.dtype, torch.float32))


@dataclass
class Grouping:
    """A partition of the seeds into groups.

    Attributes:
        groups: (B, T * S) int64, the context token of each seed; every value from 0 to ``count`` - 1 occurs.
        count: K.
        weights: (B, T * S) positive weights of the seeds in the mean of their group; None gives equal weights.
    """

    groups: Tensor
    count: int
    weights: Tensor | None = None

    def average(self, tokens: Tensor) -> Tensor:
        """Average (B, T * S, D) seeds into (B, K, D) context tokens, with gradient."""
        return average_groups(tokens, self.groups, self.count, self.weights)


# (seeds, num_context_tokens, merges_per_round) -> Grouping; called without gradient and without autocast.
Aggregator = Callable[[Seeds, int, int], Grouping]
AGGREGATORS: Registry[Aggregator] = Registry("aggregation")
