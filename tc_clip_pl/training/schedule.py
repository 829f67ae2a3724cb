"""Learning-rate schedules: linear warm-up, then a cosine, set at every optimizer step.

The rates are pure functions of the step; the schedulers apply them to each parameter group of an optimizer. They are
our own because the libraries shift the cosine to the end of the warm-up (torch's `SequentialLR` with
`CosineAnnealingLR`, transformers' `get_cosine_schedule_with_warmup`), which the published runs do not.
"""

import math
from abc import ABC, abstractmethod
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


def released_rate(step: int, peak: float, final: float, warmup_steps: int, total_steps: int) -> float:
    """Return the learning rate of the published runs, whose cosine counts from step 0.

    At the end of the warm-up the cosine is already under way, so the rate drops there: to about half of the peak where
    the warm-up takes half of the training.

    Args:
        step: Optimizer steps taken so far, from 0.
        peak: Rate that the warm-up climbs to.
        final: Rate at `total_steps`, kept from there on.
        warmup_steps: Steps of the linear climb from 0.
        total_steps: Steps of the whole training.

    Example:
        >>> [round(released_rate(s, peak=1.0, final=0.0, warmup_steps=2, total_steps=4), 3) for s in range(5)]
        [0.0, 0.5, 0.5, 0.146, 0.0]
    """
    if step < warmup_steps:
        return peak * step / warmup_steps
    return _cosine(step / total_steps, peak, final)


def textbook_rate(step: int, peak: float, final: float, warmup_steps: int, total_steps: int) -> float:
    """Return the rate of a cosine that starts, at the peak, where the warm-up ends.

    Args:
        step: Optimizer steps taken so far, from 0.
        peak: Rate that the warm-up climbs to.
        final: Rate at `total_steps`, kept from there on.
        warmup_steps: Steps of the linear climb from 0.
        total_steps: Steps of the whole training.

    Example:
        >>> [textbook_rate(s, peak=1.0, final=0.0, warmup_steps=2, total_steps=4) for s in range(5)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return peak * step / warmup_steps
    return _cosine((step - warmup_steps) / max(1, total_steps - warmup_steps), peak, final)


def floored_rate(step: int, peak: float, final: float, warmup_steps: int, total_steps: int) -> float:
    """Return the rate of a `textbook_rate` whose warm-up climbs from `final` instead of 0, as in Open-VCLIP.

    Args:
        step: Optimizer steps taken so far, from 0.
        peak: Rate that the warm-up climbs to.
        final: Rate at step 0 and at `total_steps`, kept from there on.
        warmup_steps: Steps of the linear climb.
        total_steps: Steps of the whole training.

    Example:
        >>> [floored_rate(s, peak=1.0, final=0.5, warmup_steps=2, total_steps=4) for s in range(5)]
        [0.5, 0.75, 1.0, 0.75, 0.5]
    """
    if step < warmup_steps:
        return final + (peak - final) * step / warmup_steps
    return textbook_rate(step, peak, final, warmup_steps, total_steps)


def _cosine(progress: float, peak: float, final: float) -> float:
    return final + (peak - final) / 2 * (1 + math.cos(math.pi * min(1.0, progress)))


class WarmupSchedule(LRScheduler, ABC):
    """Linear warm-up, then a decay that a subclass defines by `rate`.

    `final_lr` is absolute: groups with different peaks end at the same rate.

    Args:
        optimizer: Its groups hold the peak rates.
        total_steps: Optimizer steps of the whole training.
        steps_per_epoch: Optimizer steps of one epoch.
        warmup_epochs: Length of the warm-up; fractions are fine.
        final_lr: Rate at the end of training.

    Raises:
        ValueError: If the warm-up is negative, or the final rate is negative or above a peak.
    """

    lag = 0  # optimizer steps by which every rate comes late

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        steps_per_epoch: int,
        warmup_epochs: float = 5.0,
        final_lr: float = 2e-8,
    ) -> None:
        if not 0 <= warmup_epochs < math.inf:
            raise ValueError(f"model.lr_scheduler.warmup_epochs is {warmup_epochs:g}; it must be at least 0.")
        peak = min(float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups)
        if not 0 <= final_lr <= peak:
            raise ValueError(
                f"model.lr_scheduler.final_lr is {final_lr:g}; it must be at least 0 and at most the peak rate "
                f"{peak:g}."
            )
        self.total_steps = total_steps
        self.warmup_steps = round(warmup_epochs * steps_per_epoch)
        self.final_lr = final_lr
        if self.warmup_steps >= total_steps:
            rank_zero_warn(f"The warm-up of {warmup_epochs:g} epochs takes the whole training ({total_steps} steps).")
        super().__init__(optimizer)  # sets the rate of step 0, so it comes last

    @staticmethod
    @abstractmethod
    def rate(step: int, peak: float, final: float, warmup_steps: int, total_steps: int) -> float:
        """Return the rate at a step for a group with this peak."""

    def get_lr(self) -> list[float]:
        """Return the rate of each group at the current step."""
        lengths, step = (self.warmup_steps, self.total_steps), max(0, self.last_epoch - self.lag)
        return [self.rate(step, peak, self.final_lr, *lengths) for peak in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """Return the position without the settings: a resumed run may be longer than the one it continues."""
        settings = ("total_steps", "warmup_steps", "final_lr", "lag")
        return {name: value for name, value in super().state_dict().items() if name not in settings}


class ReleasedSchedule(WarmupSchedule):
    """The schedule of the published runs: the cosine counts from step 0 and is under way when the warm-up ends.

    Args:
        optimizer: As in `WarmupSchedule`, like the next four.
        total_steps: Optimizer steps of the whole training.
        steps_per_epoch: Optimizer steps of one epoch.
        warmup_epochs: Length of the warm-up.
        final_lr: Rate at the end of training.
        lag: Optimizer steps by which every rate comes late: 1 is the code of ViFi-CLIP, MAXI and OST, which sets the
            rate of a step after that step, so that the first two have rate 0.

    Raises:
        ValueError: As `WarmupSchedule`, or if the lag is negative.
    """

    rate = staticmethod(released_rate)

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        steps_per_epoch: int,
        warmup_epochs: float = 5.0,
        final_lr: float = 2e-8,
        lag: int = 0,
    ) -> None:
        if lag < 0:
            raise ValueError(f"model.lr_scheduler.lag is {lag}; it must be at least 0.")
        self.lag = lag
        super().__init__(optimizer, total_steps, steps_per_epoch, warmup_epochs, final_lr)


class TextbookSchedule(WarmupSchedule):
    """The usual schedule: the cosine starts at the peak, at the end of the warm-up."""

    rate = staticmethod(textbook_rate)


class FlooredSchedule(WarmupSchedule):
    """The usual schedule with a warm-up from `final_lr` instead of 0."""

    rate = staticmethod(floored_rate)
