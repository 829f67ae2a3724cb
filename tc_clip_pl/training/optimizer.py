"""Parameter groups: the prompting parameters train at a higher rate than CLIP's own."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping

import torch
from torch.nn import Module
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

OptimizerFactory = Callable[[Iterable], Optimizer]
"""Makes an optimizer of parameter groups; a class such as AdamW with all but its first argument filled in."""

SchedulerFactory = Callable[[Optimizer, int, int], LRScheduler]
"""Makes a scheduler, stepped once an optimizer step, of (optimizer, total_steps, steps_per_epoch)."""


WITHOUT_DECAY = "_undecayed"
"""Ends the name of a group whose weights do not decay."""


def group_parameters(
    model: Module,
    prompting_names: Collection[str],
    position_names: Collection[str] = (),
    undecayed_names: Collection[str] = (),
) -> list[dict]:
    """Split the trainable parameters into CLIP's with the attention bias ("backbone") and those with other rates.

    Args:
        model: Holds the parameters; frozen ones stay out.
        prompting_names: Names of the prompt vectors and the VP block.
        position_names: Names of a joint positional embedding.
        undecayed_names: Names of those without weight decay.

    Returns:
        Groups for an optimizer, each with a `name`; an empty group is left out.
    """
    group_of = {**dict.fromkeys(prompting_names, "prompting"), **dict.fromkeys(position_names, "positions")}
    groups = {name: {"name": name, "params": []} for name in ("backbone", "prompting", "positions")}
    for name in [f"{name}{WITHOUT_DECAY}" for name in groups]:
        groups[name] = {"name": name, "params": [], "weight_decay": 0.0}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            ending = WITHOUT_DECAY if name in undecayed_names else ""
            groups[group_of.get(name, "backbone") + ending]["params"].append(parameter)
    return [group for group in groups.values() if group["params"]]


def check_recipe(
    optimizer: OptimizerFactory | None,
    lr_scheduler: SchedulerFactory | None,
    lr_factors: Mapping[str, float],
    label_smoothing: float,
) -> None:
    """Refuse rates and shares that cannot train anything, before data and model are loaded.

    Raises:
        ValueError: Naming the setting, its value and what it must be.
    """
    for name, factor in lr_factors.items():
        if not 0 < factor < math.inf:
            raise ValueError(f"model.{name}_lr_factor is {factor:g}; it must be above 0.")
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"model.label_smoothing is {label_smoothing:g}; it must be at least 0 and below 1.")
    if optimizer is None:
        return
    # The factories hide their numbers, so they build for a single parameter what they will build for the model.
    trial = optimizer([torch.nn.Parameter(torch.zeros(1))])
    for group in trial.param_groups:
        if not 0 < float(group["lr"]) < math.inf:
            raise ValueError(f"model.optimizer.lr is {float(group['lr']):g}; it must be above 0.")
        if not 0 <= group.get("weight_decay", 0) < math.inf:
            raise ValueError(f"model.optimizer.weight_decay is {group['weight_decay']:g}; it must be at least 0.")
    if lr_scheduler is not None:
        build_scheduler(lr_scheduler, trial, total_steps=10**9, steps_per_epoch=1)  # long, for any warm-up to fit


def build_optimizer(factory: OptimizerFactory, groups: list[dict], lr_factors: Mapping[str, float]) -> Optimizer:
    """Build an optimizer and change the rate of some of its groups.

    Args:
        factory: Gives every group the same rate.
        groups: From `group_parameters`.
        lr_factors: Ratios of the rates of groups, by name, to the backbone's.
    """
    optimizer = factory(groups)
    # Afterwards, not in the groups: only the factory knows the rate that is to be multiplied.
    for group in optimizer.param_groups:
        group["lr"] *= lr_factors.get(group["name"].removesuffix(WITHOUT_DECAY), 1.0)
    return optimizer


def build_scheduler(
    factory: SchedulerFactory, optimizer: Optimizer, total_steps: int, steps_per_epoch: int
) -> LRScheduler:
    """Build a scheduler for a whole training.

    Raises:
        ValueError: If the factory does not take the lengths by name, as torch's own schedulers do not.
    """
    try:
        return factory(optimizer, total_steps=total_steps, steps_per_epoch=steps_per_epoch)
    except TypeError as error:
        raise ValueError(
            f"model.lr_scheduler cannot be built ({error}): give a class or function that takes (optimizer, "
            "total_steps, steps_per_epoch), such as tc_clip_pl.training.schedule.ReleasedSchedule."
        ) from error
