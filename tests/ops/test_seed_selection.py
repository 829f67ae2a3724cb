"""Every seed selection against a slow version in plain Python."""

import pytest
import torch

from tc_clip_pl.ops.seed_selection import SEED_SELECTORS, count_seeds, top_of_any_head
from tests.ops.conftest import frame_attention

BUDGET = 5


def best(scores, count):
    """Indices of the largest of a list of scores, in descending order."""
    return sorted(range(len(scores)), key=lambda i: -scores[i])[:count]


def slow_cls_row(attention, b, t, h):
    scores = attention.key[b, t, h] @ attention.query[b, t, h, 0] / 8**0.5 + attention.bias[h, 0]
    return scores.softmax(0)[1:12].tolist()


def slow_key_norms(attention, b, t, h):
    return [attention.key[b, t, h, 1 + i].square().sum().sqrt().item() for i in range(11)]


def slow_saliency(attention, b, t):
    total = [0.0] * 11
    for h in range(4):
        for i in range(11):
            row = (attention.key[b, t, h, :12] @ attention.query[b, t, h, 1 + i] / 8**0.5).softmax(0)
            total[i] += (row * row.log()).sum().item()
    return total


def head_mean(rows):
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def slow_any_head(rows):
    """Take the first choices of all heads, then all second choices, and so on."""
    mean, chosen = head_mean(rows), []
    for turn in range(11):
        choices = {best(row, 11)[turn] for row in rows} - set(chosen)
        chosen += sorted(choices, key=lambda i: -mean[i])
    return chosen[:BUDGET]


SLOW = {
    "averaged_cls_attention": lambda a, b, t: best(head_mean([slow_cls_row(a, b, t, h) for h in range(4)]), BUDGET),
    "averaged_key_norm": lambda a, b, t: best(head_mean([slow_key_norms(a, b, t, h) for h in range(4)]), BUDGET),
    "head_wise_cls_attention": lambda a, b, t: slow_any_head([slow_cls_row(a, b, t, h) for h in range(4)]),
    "head_wise_key_norm": lambda a, b, t: slow_any_head([slow_key_norms(a, b, t, h) for h in range(4)]),
    "patch_saliency": lambda a, b, t: best(slow_saliency(a, b, t), BUDGET),
    "none": lambda a, b, t: list(range(BUDGET)),
}


@pytest.mark.parametrize("name", SLOW)
def test_matches_reference(attention, name):
    seeds = SEED_SELECTORS[name](attention, BUDGET, False)
    expected = [[SLOW[name](attention, b, t) for t in range(3)] for b in range(2)]
    assert seeds.tolist() == expected


@pytest.mark.parametrize("name", SEED_SELECTORS)
@pytest.mark.parametrize("training", [True, False])
def test_selects_as_many_as_asked_without_repeating(attention, name, training):
    seeds = SEED_SELECTORS[name](attention, BUDGET, training)
    assert seeds.shape == (2, 3, BUDGET)
    assert all(len(set(frame.tolist())) == BUDGET for video in seeds for frame in video)
    assert seeds.min() >= 0 and seeds.max() < 11


@pytest.mark.parametrize("name", sorted(set(SEED_SELECTORS) - {"none", "ats"}))
def test_follows_a_permutation_of_the_patches(attention, name):
    order = torch.randperm(11, generator=torch.Generator().manual_seed(1))
    tokens = torch.cat((torch.tensor([0]), 1 + order))
    keys = torch.cat((tokens, torch.arange(12, 17)))
    moved = frame_attention(
        attention.query[..., tokens, :],
        attention.key[..., keys, :],
        attention.value[..., keys, :],
        attention.bias[..., keys],
    )
    select = SEED_SELECTORS[name]
    assert torch.equal(order[select(moved, BUDGET, False)], select(attention, BUDGET, False))


def test_ats_picks_the_patches_that_the_points_fall_into(attention):
    """At evaluation: one point in the middle of each of S equal parts of the cumulative score."""
    seeds = SEED_SELECTORS["ats"](attention, BUDGET, False)
    for b, t in torch.cartesian_prod(torch.arange(2), torch.arange(3)).tolist():
        norms = attention.value[b, t, :, 1:12].norm(dim=-1)  # (H, P)
        scores = (torch.tensor([slow_cls_row(attention, b, t, h) for h in range(4)]) * norms).mean(0).tolist()
        picked, total = set(), sum(scores)
        for point in ((i + 0.5) / BUDGET for i in range(BUDGET)):
            reached, patch = scores[0] / total, 0
            while reached < point:
                patch += 1
                reached += scores[patch] / total
            picked.add(patch)
        rest = [i for i in best(scores, 11) if i not in picked]
        assert seeds[b, t].tolist() == (sorted(picked, key=lambda i: -scores[i]) + rest)[:BUDGET]


def test_ats_is_deterministic_at_evaluation_and_random_in_training(attention):
    select = SEED_SELECTORS["ats"]
    assert torch.equal(select(attention, BUDGET, False), select(attention, BUDGET, False))
    drawn = {str(select(attention, BUDGET, True).tolist()) for _ in range(20)}
    assert len(drawn) > 1


def test_heads_take_turns():
    scores = torch.tensor([[9.0, 1, 2, 3, 8], [1, 10, 2, 9, 3]]).view(1, 1, 2, 5)
    assert top_of_any_head(scores, 4).flatten().tolist() == [1, 0, 3, 4]  # first choices 0 and 1, then seconds 4 and 3


def test_count_rounds_down():
    assert [count_seeds(196, alpha) for alpha in (0.2, 0.3, 0.5, 1.0)] == [39, 58, 98, 196]


def test_saliency_is_highest_for_the_sharpest_patch():
    query, key = torch.zeros(1, 1, 1, 5, 4), torch.eye(5, 4)[None, None, None]
    query[..., 3, :] = 20 * key[..., 2, :]  # patch 2 attends to one key, the others to all alike
    saliency = frame_attention(query, key, key, None).saliency()
    assert saliency.flatten().tolist() == [0.0, 0.0, 1.0, 0.0]


def test_unknown_name_lists_the_choices():
    with pytest.raises(ValueError, match="seed_selection is 'best': choose one of averaged_cls_attention"):
        SEED_SELECTORS["best"]


@pytest.mark.parametrize("scale", [1.0, 0.02])
def test_a_higher_rank_outweighs_any_mean(scale):
    """Patch 0 is the first choice of one head and worth nothing to the other; patch 1 is the second choice of both."""
    scores = torch.tensor([[[[scale, 0.9 * scale, 0.0], [0.0, 0.9, 1.0]]]])
    assert sorted(top_of_any_head(scores, 2)[0, 0].tolist()) == [0, 2]
