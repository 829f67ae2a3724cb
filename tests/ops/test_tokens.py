"""Picking and averaging tokens."""

import pytest
import torch

from tc_clip_pl.ops.tokens import average_groups, gather_tokens, source_masks


def test_gather_picks_in_order():
    tokens = torch.arange(24.0).view(2, 4, 3)
    picked = gather_tokens(tokens, torch.tensor([[3, 0], [1, 1]]))
    assert torch.equal(picked, torch.stack((tokens[0, [3, 0]], tokens[1, [1, 1]])))


@pytest.mark.parametrize("compiling", [False, True])
@pytest.mark.parametrize("shape", [(5, 3), (2, 5, 3), (2, 4, 5, 3)])
def test_gathers_alike_with_and_without_gradient_compiled_or_not(shape, compiling, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: compiling)
    tokens = torch.randn(shape, requires_grad=True)[..., 1:, :]  # as the patches of frames, not contiguous
    indices = torch.randint(4, (*shape[:-2], 6))
    chosen = torch.nn.functional.one_hot(indices, 4).float()  # (..., S, N)
    picked = gather_tokens(tokens, indices)
    assert torch.equal(picked, chosen @ tokens)
    with torch.no_grad():
        assert torch.equal(picked, gather_tokens(tokens, indices))
    weight = torch.randn_like(picked)
    (gradient,) = torch.autograd.grad((picked * weight).sum(), tokens)
    torch.testing.assert_close(gradient, chosen.transpose(-1, -2) @ weight)


def test_group_means():
    tokens = torch.randn(1, 5, 3, dtype=torch.float64)
    means = average_groups(tokens, torch.tensor([[1, 0, 1, 1, 2]]), 3)
    expected = torch.stack((tokens[0, 1], tokens[0, [0, 2, 3]].mean(0), tokens[0, 4]))
    torch.testing.assert_close(means[0], expected)


def test_weighted_group_means():
    tokens, weights = torch.randn(1, 4, 3, dtype=torch.float64), torch.tensor([[1.0, 3.0, 2.0, 5.0]])
    means = average_groups(tokens, torch.tensor([[0, 0, 1, 0]]), 2, weights)
    expected = (tokens[0, 0] + 3 * tokens[0, 1] + 5 * tokens[0, 3]) / 9
    torch.testing.assert_close(means[0], torch.stack((expected, tokens[0, 2])))


def test_sources_partition_the_seeds():
    seeds = torch.tensor([[[2, 0], [3, 1]]])  # two frames of four patches
    masks = source_masks(torch.tensor([[0, 1, 1, 2]]), seeds, 3, 4)
    assert masks.shape == (1, 3, 8)
    assert [row.nonzero().flatten().tolist() for row in masks[0]] == [[2], [0, 7], [5]]


def test_weights_belong_to_the_tokens_of_their_own_video():
    """Three videos and three groups: a swapped axis would broadcast without an error."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(3, 6, 4, generator=generator, dtype=torch.float64)
    weights = torch.rand(3, 6, generator=generator, dtype=torch.float64)
    groups = torch.tensor([[0, 1, 2, 0, 1, 2], [2, 1, 0, 0, 0, 1], [0, 0, 1, 1, 2, 2]])
    means = average_groups(tokens, groups, 3, weights)
    for b in range(3):
        for k in range(3):
            members = groups[b] == k
            expected = (weights[b, members, None] * tokens[b, members]).sum(0) / weights[b, members].sum()
            torch.testing.assert_close(means[b, k], expected, rtol=0, atol=1e-12)
