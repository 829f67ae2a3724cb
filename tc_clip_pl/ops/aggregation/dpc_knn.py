"""Density-peaks clustering with k nearest neighbors over the seeds of a video (Tables 1 and 8b)."""

import torch

from tc_clip_pl.ops.aggregation.base import AGGREGATORS, Grouping, Seeds
from tc_clip_pl.ops.tokens import gather_tokens

NUM_NEIGHBORS = 5


@AGGREGATORS.register("dpc_knn", reads=("num_context_tokens",))
def dpc_knn(seeds: Seeds, num_context_tokens: int, merges_per_round: int) -> Grouping:
    """Group seeds around density peaks: seeds in dense places, far from any denser place.

    The density of a seed is ``exp(-mean of its squared distances to the 5 nearest)``, itself included. Its separation
    is the distance to the nearest seed of higher density; for the densest seed, to the farthest seed. The K seeds with
    the largest product of the two are centers, and every other seed joins the nearest center.
    """
    tokens = seeds.detached
    distances = torch.cdist(tokens, tokens) / tokens.shape[-1] ** 0.5  # (B, S, S); the root keeps exp from underflow
    neighbors = min(NUM_NEIGHBORS, tokens.shape[1])
    density = (-distances.topk(neighbors, largest=False).values.square().mean(-1)).exp()  # (B, S)
    # Position breaks ties of density, so that exactly one seed is the densest.
    rank = density.argsort(dim=-1, descending=True, stable=True).argsort(-1)
    denser = rank[:, None, :] < rank[:, :, None]  # (B, S, S): whether the second is denser than the first
    separation = distances.masked_fill(~denser, float("inf")).amin(-1)
    separation = torch.where(separation.isinf(), distances.amax(-1), separation)
    centers = (density * separation).topk(num_context_tokens).indices  # (B, K)
    groups = gather_tokens(distances, centers).argmin(1)  # (B, S)
    # A center belongs to its own group, even if another center has the same position.
    own = torch.arange(num_context_tokens, device=tokens.device).expand_as(centers)
    return Grouping(groups.scatter(1, centers, own), num_context_tokens)
