"""Rounds on the products of all tokens against the plain version."""

import pytest
import torch

pytest.importorskip("triton")

from tc_clip_pl.kernels import matching
from tc_clip_pl.kernels.matching import match_tokens
from tc_clip_pl.kernels.product_rounds import COLUMNS, ProductRounds
from tc_clip_pl.ops.aggregation import bipartite
from tests.devices import DEVICE
from tests.kernels.test_matching import seeds

# Columns that no token has hold whatever was in their memory. They are summed, too, and not read.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")


@pytest.fixture(autouse=True)
def on_products(monkeypatch):
    """Let few tokens be many."""
    monkeypatch.setattr(matching, "ENOUGH_ROUNDS", 1)
    monkeypatch.setattr(matching, "MANY_TOKENS", 2)


PRODUCTS = 2 * 60 * (64 + 5 * 64)  # of 60 tokens and five rounds, in blocks of 64 columns


def refuse(*_):
    raise AssertionError("these rounds are not wanted")


@pytest.mark.parametrize(
    "count, num_context, per_round, width",
    [(60, 12, 10, 24), (57, 20, 100, 40), (190, 90, 75, 20), (33, 1, 5, 16)],
)
def test_groups_are_those_of_the_plain_version(count, num_context, per_round, width):
    tokens = seeds(2, count, width)
    groups = match_tokens(tokens, num_context, per_round)
    assert torch.equal(groups, bipartite.match_tokens(tokens, num_context, per_round))


def test_last_rounds_multiply_the_merged_tokens(monkeypatch):
    monkeypatch.setattr(matching, "MANY_TOKENS", 60)
    tokens = seeds(2, 100, 24)
    assert torch.equal(match_tokens(tokens, 10, 20), bipartite.match_tokens(tokens, 10, 20))


def test_tokens_around_a_mean_merge_into_few():
    tokens = 2 * seeds(1, 1, 24, seed=1) + seeds(1, 100, 24)
    groups = match_tokens(tokens, 15, 25)
    assert groups[0].bincount().max() > 20  # most merge into the same
    assert torch.equal(groups, bipartite.match_tokens(tokens, 15, 25))


def test_many_tokens_that_merge_into_each_of_many():
    means = 4 * seeds(1, 5, 64, seed=2).repeat(1, 2, 1) + 2 * seeds(1, 10, 64, seed=3)
    tokens = seeds(1, 260, 64, seed=1)
    tokens[:, ::2] += means.repeat(1, 13, 1)  # tokens of A, 13 around each mean
    tokens[:, 1:20:2] = means  # tokens of B
    assert bipartite.match_tokens(tokens, 135, 125)[0].bincount().topk(9).values.min() > 10
    # In the second round, the means merge with each other.
    assert torch.equal(match_tokens(tokens, 125, 125), bipartite.match_tokens(tokens, 125, 125))


def test_ties_may_go_to_another_partner_but_an_equal_one():
    kinds = torch.arange(5, device=DEVICE).repeat(20)
    groups = match_tokens(torch.eye(5, 8, device=DEVICE)[kinds][None], 20, 20)[0]
    assert all(kinds[groups == group].unique().numel() == 1 for group in range(20))


@pytest.mark.parametrize("limit, value", [("ENOUGH_ROUNDS", 6), ("MANY_TOKENS", 61), ("MOST_PRODUCTS", PRODUCTS - 1)])
def test_few_rounds_or_too_many_products_are_not_worth_it(monkeypatch, limit, value):
    monkeypatch.setattr(matching, limit, value)
    monkeypatch.setattr(matching, "ProductRounds", refuse)
    match_tokens(seeds(2, 60, 16), 12, 10)


@pytest.mark.parametrize("most, blocks", [(20, 1), (64, 1), (65, 2), (129, 4)])
def test_a_round_has_all_the_columns_that_its_kernels_write(most, blocks):
    rounds = ProductRounds(seeds(1, 20, 4), most, num_rounds=3)
    assert rounds.num_columns == (1 + 3 * blocks) * COLUMNS


def test_many_rounds_within_the_limit_are_worth_it(monkeypatch):
    monkeypatch.setattr(matching, "ENOUGH_ROUNDS", 5)
    monkeypatch.setattr(matching, "MOST_PRODUCTS", PRODUCTS)
    monkeypatch.setattr(matching, "Rounds", refuse)
    match_tokens(seeds(2, 60, 16), 12, 10)
