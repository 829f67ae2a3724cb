"""Parameter groups, and the optimizer and scheduler built from injected factories."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import ConstantLR

from tc_clip_pl.training.optimizer import build_optimizer, build_scheduler, check_recipe, group_parameters
from tc_clip_pl.training.schedule import ReleasedSchedule

RECIPE = partial(AdamW, lr=0.1, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.001)
PROMPTING = {"prompting.weight", "prompting.bias"}


def _toy():
    model = nn.ModuleDict({"clip": nn.Linear(2, 2), "prompting": nn.Linear(2, 1), "frozen": nn.Linear(1, 1)})
    model["frozen"].requires_grad_(False)
    return model


def test_groups_split_trainable_parameters_and_leave_frozen_ones_out():
    groups = group_parameters(_toy(), PROMPTING)
    assert [(g["name"], sum(p.numel() for p in g["params"])) for g in groups] == [("backbone", 6), ("prompting", 3)]


def test_empty_group_is_left_out():
    assert [group["name"] for group in group_parameters(_toy(), set())] == ["backbone"]


def test_groups_of_tiny_model_hold_each_trainable_parameter_once(make_model):
    model = make_model()
    prompting = model.prompting_parameter_names()
    backbone, rest = group_parameters(model, prompting)
    ids = [id(p) for p in backbone["params"] + rest["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    by_id = {id(p): name for name, p in model.named_parameters()}
    assert {by_id[id(p)] for p in rest["params"]} == prompting
    assert id(model.text_model.embeddings.token_embedding.weight) not in ids


@pytest.mark.parametrize("factory", [RECIPE, partial(SGD, lr=0.1)])
def test_prompting_gets_a_multiple_of_the_rate_of_any_optimizer(factory):
    optimizer = build_optimizer(factory, group_parameters(_toy(), PROMPTING), lr_factors={"prompting": 10})
    assert [(g["name"], g["lr"]) for g in optimizer.param_groups] == [("backbone", 0.1), ("prompting", 1.0)]


def test_settings_of_the_factory_hold_for_both_groups():
    optimizer = build_optimizer(RECIPE, group_parameters(_toy(), PROMPTING), {"prompting": 10})
    assert {(*g["betas"], g["eps"], g["weight_decay"]) for g in optimizer.param_groups} == {(0.9, 0.98, 1e-8, 0.001)}


def test_named_parameters_are_without_decay_at_the_rate_of_their_group():
    model = _toy()
    groups = group_parameters(model, PROMPTING, undecayed_names={"clip.bias", "prompting.bias"})
    optimizer = build_optimizer(RECIPE, groups, {"prompting": 10})
    found = {group["name"]: (group["lr"], group["weight_decay"], group["params"]) for group in optimizer.param_groups}
    assert found == {
        "backbone": (0.1, 0.001, [model["clip"].weight]),
        "prompting": (1.0, 0.001, [model["prompting"].weight]),
        "backbone_undecayed": (0.1, 0.0, [model["clip"].bias]),
        "prompting_undecayed": (1.0, 0.0, [model["prompting"].bias]),
    }


def test_weight_decay_reaches_biases_too():
    layer = nn.Linear(1, 1)
    torch.nn.init.ones_(layer.bias)
    factory = partial(AdamW, lr=0.1, weight_decay=0.5)
    optimizer = build_optimizer(factory, group_parameters(layer, set()), {"prompting": 10})
    layer.bias.grad = torch.zeros(1)
    optimizer.step()
    assert layer.bias.item() == pytest.approx(1 - 0.1 * 0.5)


def test_scheduler_gets_the_lengths_of_the_training():
    optimizer = build_optimizer(RECIPE, group_parameters(_toy(), PROMPTING), {"prompting": 10})
    scheduler = build_scheduler(partial(ReleasedSchedule, warmup_epochs=2), optimizer, 12, 3)
    assert (scheduler.total_steps, scheduler.warmup_steps) == (12, 6)


def test_scheduler_that_takes_no_lengths_is_refused_in_a_sentence():
    optimizer = build_optimizer(RECIPE, group_parameters(_toy(), PROMPTING), {"prompting": 10})
    with pytest.raises(ValueError, match=r"model\.lr_scheduler cannot be built .*ReleasedSchedule\."):
        build_scheduler(ConstantLR, optimizer, 12, 3)


@pytest.mark.parametrize(
    ("recipe", "message"), [({"optimizer": None}, "needs an optimizer"), ({}, r"set trainer\.max_epochs")]
)
def test_training_without_optimizer_or_end_is_refused(recipe, message, make_module, make_data, make_trainer):
    with pytest.raises(ValueError, match=message):
        make_trainer(max_epochs=-1).fit(make_module(**recipe), datamodule=make_data())


def test_module_without_scheduler_keeps_its_rate(make_module, make_data, make_trainer):
    module, trainer = make_module(lr_scheduler=None, learning_rate=1e-6), make_trainer(limit_val_batches=0)
    trainer.fit(module, datamodule=make_data())
    assert [group["lr"] for group in trainer.optimizers[0].param_groups] == pytest.approx([1e-6, 1e-5])


def test_positions_of_their_own_have_their_own_rate():
    groups = group_parameters(_toy(), PROMPTING, {next(n for n, _ in _toy().named_parameters() if n not in PROMPTING)})
    optimizer = build_optimizer(RECIPE, groups, {"prompting": 10, "positions": 4})
    rates = {group["name"]: group["lr"] for group in optimizer.param_groups}
    assert rates["positions"] == pytest.approx(4 * rates["backbone"])
    assert rates["prompting"] == pytest.approx(10 * rates["backbone"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr_factors": {"prompting": 0}}, "prompting_lr_factor is 0; it must be above 0"),
        ({"lr_factors": {"prompting": math.inf}}, "prompting_lr_factor is inf"),
        ({"label_smoothing": -0.1}, "label_smoothing is -0.1; it must be at least 0 and below 1"),
        ({"label_smoothing": 1}, "label_smoothing is 1"),
        ({"optimizer": partial(SGD, lr=0.0)}, "optimizer.lr is 0; it must be above 0"),
        ({"optimizer": partial(SGD, lr=math.inf)}, "optimizer.lr is inf"),
        ({"optimizer": partial(SGD, lr=0.1, weight_decay=math.inf)}, "weight_decay is inf; it must be at least 0"),
        ({"optimizer": lambda p: SGD([{"params": p, "weight_decay": -0.5}], lr=0.1)}, "weight_decay is -0.5"),
        ({"lr_scheduler": partial(ReleasedSchedule, warmup_epochs=-1)}, "warmup_epochs is -1"),
    ],
)
def test_senseless_recipe_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        check_recipe(**{"optimizer": RECIPE, "lr_scheduler": None, "lr_factors": {}, "label_smoothing": 0, **changes})


@pytest.mark.parametrize("optimizer", [None, partial(SGD, lr=1e-9), partial(SGD, lr=2.0, weight_decay=0)])
def test_recipes_at_the_edges_are_fine(optimizer):
    check_recipe(optimizer, partial(ReleasedSchedule, warmup_epochs=10**6, final_lr=0), {"prompting": 1e-3}, 0)
    check_recipe(optimizer, None, {"prompting": 100.0}, 0.99)
