"""AdamW with a higher rate for the prompting parameters, and the learning-rate schedule."""

import math
from collections.abc import Collection
from functools import partial

from torch.nn import Module
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

BETAS = (0.9, 0.98)
EPS = 1e-8


def build_parameter_groups(
    model: Module, learning_rate: float, prompting_names: Collection[str], prompting_factor: float
) -> list[dict]:
    """Split the trainable parameters in two: CLIP's with the bias, and those of the prompting at a higher rate.

    Args:
        model: Where the parameters are; frozen ones stay out.
        learning_rate: Peak rate of the first group.
        prompting_names: Names of the prompt vectors and the VP block.
        prompting_factor: How many times the rate the second group gets.

    Returns:
        Groups for an optimizer, each with a `name`; a group without parameters is left out.
    """
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    prompting = [parameter for name, parameter in trainable.items() if name in prompting_names]
    backbone = [parameter for name, parameter in trainable.items() if name not in prompting_names]
    groups = [
        {"name": "backbone", "params": backbone, "lr": learning_rate},
        {"name": "prompting", "params": prompting, "lr": learning_rate * prompting_factor},
    ]
    return [group for group in groups if group["params"]]


def build_optimizer(groups: list[dict], weight_decay: float) -> AdamW:
    """AdamW as in the paper's recipe: betas (0.9, 0.98), eps 1e-8, weight decay on every parameter."""
    return AdamW(groups, betas=BETAS, eps=EPS, weight_decay=weight_decay)


def warmup_cosine(step: int, *, warmup_steps: int, total_steps: int, final_factor: float) -> float:
    """Share of the peak learning rate at a step: linear from 0, then half a cosine down to `final_factor`.

    Args:
        step: Optimizer steps taken so far, from 0.
        warmup_steps: The step that first runs at the peak.
        total_steps: The step at which `final_factor` is reached, and kept from there on.
        final_factor: Final rate over peak rate, in [0, 1].

    Example:
        >>> [warmup_cosine(s, warmup_steps=2, total_steps=4, final_factor=0.0) for s in range(5)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return step / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return final_factor + (1.0 - final_factor) * 0.5 * (1.0 + math.cos(math.pi * progress))


def build_scheduler(optimizer: Optimizer, warmup_steps: int, total_steps: int, final_factor: float) -> LambdaLR:
    """Schedule every group of an optimizer by `warmup_cosine`, to be stepped once an optimizer step."""
    schedule = partial(warmup_cosine, warmup_steps=warmup_steps, total_steps=total_steps, final_factor=final_factor)
    return LambdaLR(optimizer, schedule)
