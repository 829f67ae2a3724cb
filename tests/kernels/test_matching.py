"""The kernels of bipartite matching against the plain version."""

import pytest
import torch

pytest.importorskip("triton")

from tc_clip_pl.kernels import matching, rounds
from tc_clip_pl.kernels.matching import match_tokens
from tc_clip_pl.ops.aggregation import bipartite
from tests.devices import DEVICE


def seeds(batch, count, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, count, width, generator=generator).to(DEVICE)


@pytest.mark.parametrize(
    "count, num_context, per_round, width",
    [(60, 12, 10, 24), (57, 20, 100, 40), (150, 30, 25, 16), (33, 1, 5, 16), (10, 20, 3, 8), (2, 1, 1, 3)],
)
def test_groups_are_those_of_the_plain_version(count, num_context, per_round, width):
    tokens = seeds(2, count, width)
    groups = match_tokens(tokens, num_context, per_round)
    assert torch.equal(groups, bipartite.match_tokens(tokens, num_context, per_round))


def test_ties_go_to_the_lower_index_as_in_the_plain_version():
    tokens = torch.eye(5, 8, device=DEVICE).repeat(1, 6, 1)  # every token six times, all cosines exactly 0 or 1
    groups = match_tokens(tokens, 4, 7)
    assert torch.equal(groups.cpu(), bipartite.match_tokens(tokens.cpu(), 4, 7))


def test_large_tiles_give_the_groups_of_small_ones(monkeypatch):
    tokens = seeds(1, 300, 40)
    groups = [match_tokens(tokens, 250, 25)]
    monkeypatch.setattr(rounds, "ENOUGH_TILES", 1)
    groups.append(match_tokens(tokens, 250, 25))
    assert torch.equal(*groups) and torch.equal(groups[0], bipartite.match_tokens(tokens, 250, 25))


def test_several_tokens_that_share_a_partner_all_reach_it():
    tokens = torch.eye(8, 16, device=DEVICE)[[0, 1, 0, 2, 0, 3, 0, 0]][None]
    groups = match_tokens(tokens, 4, 4)[0]
    assert len({groups[index].item() for index in (0, 2, 4, 6, 7)}) == 1
    assert sorted(set(groups.tolist())) == [0, 1, 2, 3]


def test_many_tokens_that_share_a_partner_are_added_in_shares():
    tokens = 4 * seeds(1, 1, 40, seed=1) + seeds(1, 300, 40)
    before, after = (bipartite.match_tokens(tokens, left, 25)[0].bincount().max() for left in (225, 200))
    assert after > before + 16  # in one round, more than a program adds at once
    assert torch.equal(match_tokens(tokens, 40, 25), bipartite.match_tokens(tokens, 40, 25))


def test_decides_a_round_like_float32():
    tokens = (seeds(1, 1, 768) + seeds(2, 200, 768, seed=1)).bfloat16().float()
    groups, plain = match_tokens(tokens, 150, 50), bipartite.match_tokens(tokens, 150, 50)
    assert (groups == plain).float().mean() >= 0.995  # the order of float32 sums decides the rest
    coarse = torch.nn.functional.normalize(tokens, dim=-1).bfloat16().float()  # a bfloat16 metric would not do
    assert (bipartite.match_tokens(coarse, 150, 50) == plain).float().mean() < 0.99


@pytest.fixture(params=[10, 1])
def enough_rounds(request, monkeypatch):
    """Rounds of their own products, and rounds on the products of all tokens."""
    monkeypatch.setattr(matching, "ENOUGH_ROUNDS", request.param)
    monkeypatch.setattr(matching, "MANY_TOKENS", 2)


@pytest.mark.usefixtures("enough_rounds")
def test_groups_are_the_same_in_every_call_and_all_occur():
    tokens = seeds(2, 40, 32)
    first, second = (match_tokens(tokens, 11, 15) for _ in range(2))
    assert torch.equal(first, second)
    assert all(sorted(set(row.tolist())) == list(range(11)) for row in first)


@pytest.mark.usefixtures("enough_rounds")
def test_more_clips_than_streams_get_the_groups_of_each_alone(monkeypatch):
    monkeypatch.setattr(matching, "MOST_STREAMS", 2)
    tokens = seeds(3, 24, 16)
    alone = torch.cat([match_tokens(tokens[index : index + 1], 12, 8) for index in range(3)])
    assert torch.equal(match_tokens(tokens, 12, 8), alone)


@pytest.mark.usefixtures("enough_rounds")
def test_a_batch_without_clips_has_no_groups():
    assert match_tokens(seeds(0, 24, 16), 12, 8).shape == (0, 24)


def test_leaves_the_seeds_as_they_are():
    tokens = seeds(1, 40, 16)
    before = tokens.clone()
    match_tokens(tokens, 5, 10)
    assert torch.equal(tokens, before)


@pytest.mark.usefixtures("enough_rounds")
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_tokens_that_are_not_numbers_still_give_groups():
    tokens = seeds(2, 40, 16)
    tokens[0, 3] = float("nan")
    groups = match_tokens(tokens, 6, 10)
    assert groups.min() == 0 and groups.max() == 5
    assert torch.equal(groups[1], match_tokens(tokens[1:], 6, 10)[0])


def test_is_an_operator_that_can_be_traced():
    torch.library.opcheck(torch.ops.tcclip.match_tokens.default, (seeds(2, 16, 16), 6, 7))
