"""Bipartite soft matching against a slow version on lists."""

import pytest
import torch

from tc_clip_pl.ops.aggregation.bipartite import match_tokens, merge_schedule
from tc_clip_pl.ops.tokens import average_groups


def slow_matching(tokens, num_context_tokens, merges_per_round):
    """Merge lists of seeds, one video and one token at a time; returns the means and the lists."""
    clusters = [[index] for index in range(len(tokens))]
    for num_merges in merge_schedule(len(tokens), num_context_tokens, merges_per_round):
        means = [tokens[cluster].mean(0) for cluster in clusters]
        evens, odds = clusters[::2], clusters[1::2]
        scores = [
            [torch.cosine_similarity(a, b, dim=0).item() for b in means[1::2]]  # each A token's edge to every B token
            for a in means[::2]
        ]
        best = [max(row) for row in scores]
        partner = [row.index(max(row)) for row in scores]
        order = sorted(range(len(evens)), key=lambda a: -best[a])
        merged_odds = [list(cluster) for cluster in odds]
        for a in order[:num_merges]:
            merged_odds[partner[a]] += evens[a]
        clusters = [evens[a] for a in order[num_merges:]] + merged_odds
    return torch.stack([tokens[cluster].mean(0) for cluster in clusters]), clusters


@pytest.mark.parametrize(
    "num_seeds, num_context, per_round", [(40, 8, 10), (41, 7, 100), (30, 29, 5), (12, 12, 4), (9, 1, 3)]
)
def test_matches_reference(num_seeds, num_context, per_round):
    seeds = torch.randn(3, num_seeds, 5, generator=torch.Generator().manual_seed(num_seeds), dtype=torch.float64)
    groups = match_tokens(seeds, num_context, per_round)
    context = average_groups(seeds, groups, num_context)
    for video in range(3):
        expected, clusters = slow_matching(seeds[video], num_context, per_round)
        torch.testing.assert_close(context[video], expected, rtol=0, atol=1e-12)
        assert [sorted(c) for c in clusters] == [
            (groups[video] == k).nonzero().flatten().tolist() for k in range(num_context)
        ]


@pytest.mark.parametrize(
    "num_tokens, num_merged, per_round, schedule",
    [
        (928, 96, 100, [100] * 8 + [32]),
        (236, 96, 40, [40] * 3 + [20]),
        (10, 20, 5, []),
        (100, 10, 100, [50, 25, 12, 3]),
    ],
)
def test_schedule(num_tokens, num_merged, per_round, schedule):
    assert merge_schedule(num_tokens, num_merged, per_round) == schedule


@pytest.mark.parametrize("num_tokens", range(1, 60, 7))
@pytest.mark.parametrize("per_round", [1, 3, 50])
def test_schedule_ends_at_the_requested_number(num_tokens, per_round):
    for num_merged in range(1, num_tokens + 1):
        assert num_tokens - sum(merge_schedule(num_tokens, num_merged, per_round)) == num_merged


def test_gradient_is_that_of_the_means():
    seeds = torch.randn(2, 20, 4, dtype=torch.float64, requires_grad=True)
    groups = match_tokens(seeds.detach(), 5, 6)
    weight = torch.randn(2, 5, 4, dtype=torch.float64)
    context = average_groups(seeds, groups, 5)
    (gradient,) = torch.autograd.grad((context * weight).sum(), seeds)
    sizes = torch.stack([torch.bincount(row, minlength=5) for row in groups])
    expected = torch.stack([(weight[b] / sizes[b][:, None])[groups[b]] for b in range(2)])
    torch.testing.assert_close(gradient, expected)


def test_is_exported_for_any_number_of_videos():
    class Match(torch.nn.Module):
        def forward(self, sums):
            return match_tokens(sums, 4, 3)

    sums = torch.randn(3, 20, 8)
    batch = {"sums": {0: torch.export.Dim("batch", min=1, max=64)}}
    with torch.no_grad():
        program = torch.export.export(Match(), (sums[:2],), dynamic_shapes=batch, strict=False).module()
    assert torch.equal(program(sums), match_tokens(sums, 4, 3))
