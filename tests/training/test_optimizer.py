"""Parameter groups and the learning-rate schedule."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from tc_clip_pl.training.optimizer import build_optimizer, build_parameter_groups, build_scheduler, warmup_cosine


def _toy():
    model = nn.ModuleDict({"clip": nn.Linear(2, 2), "prompting": nn.Linear(2, 1), "frozen": nn.Linear(1, 1)})
    model["frozen"].requires_grad_(False)
    return model


def test_groups_split_trainable_parameters_and_leave_frozen_ones_out():
    groups = build_parameter_groups(_toy(), 0.1, {"prompting.weight", "prompting.bias"}, 10)
    assert [(g["name"], g["lr"], sum(p.numel() for p in g["params"])) for g in groups] == [
        ("backbone", 0.1, 6),
        ("prompting", 1.0, 3),
    ]


def test_groups_of_tiny_model_hold_each_trainable_parameter_once(make_model):
    model = make_model()
    prompting = model.prompting_parameter_names()
    backbone, rest = build_parameter_groups(model, 1e-3, prompting, 10)
    ids = [id(p) for p in backbone["params"] + rest["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    by_id = {id(p): name for name, p in model.named_parameters()}
    assert {by_id[id(p)] for p in rest["params"]} == prompting
    assert id(model.text_model.embeddings.token_embedding.weight) not in ids


def test_optimizer_follows_the_recipe_with_decay_on_every_parameter():
    optimizer = build_optimizer(build_parameter_groups(_toy(), 0.1, {"prompting.weight"}, 10), weight_decay=0.001)
    assert {(*g["betas"], g["eps"], g["weight_decay"]) for g in optimizer.param_groups} == {(0.9, 0.98, 1e-8, 0.001)}


def test_schedule_values_against_the_formula():
    rates = [warmup_cosine(s, warmup_steps=10, total_steps=100, final_factor=0.01) for s in range(101)]
    assert rates[:11] == pytest.approx([s / 10 for s in range(11)])
    assert rates[55] == pytest.approx(0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * 45 / 90)))
    assert rates[100] == pytest.approx(0.01)
    assert all(a > b for a, b in pairwise(rates[10:]))


@pytest.mark.parametrize(("warmup", "total"), [(0, 4), (4, 4), (8, 4)])
def test_schedule_stays_between_zero_and_one_at_the_edges(warmup, total):
    rates = [warmup_cosine(s, warmup_steps=warmup, total_steps=total, final_factor=0.1) for s in range(total + 2)]
    assert all(0 <= rate <= 1 for rate in rates)
    assert rates[0] == (1.0 if warmup == 0 else 0.0)


def test_scheduler_keeps_the_ratio_of_the_groups():
    optimizer = build_optimizer(build_parameter_groups(_toy(), 0.1, {"prompting.weight"}, 10), 0.0)
    scheduler = build_scheduler(optimizer, warmup_steps=2, total_steps=6, final_factor=0.01)
    for step in range(7):
        low, high = (group["lr"] for group in optimizer.param_groups)
        assert high == pytest.approx(10 * low)
        assert low == pytest.approx(0.1 * warmup_cosine(step, warmup_steps=2, total_steps=6, final_factor=0.01))
        optimizer.step()
        scheduler.step()


def test_weight_decay_reaches_biases_too():
    layer = nn.Linear(1, 1)
    torch.nn.init.ones_(layer.bias)
    optimizer = build_optimizer(build_parameter_groups(layer, 0.1, set(), 10), weight_decay=0.5)
    layer.bias.grad = torch.zeros(1)
    optimizer.step()
    assert layer.bias.item() == pytest.approx(1 - 0.1 * 0.5)
