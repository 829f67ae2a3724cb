"""The cost of a run, as its results record it."""

from __future__ import annotations

import json
from functools import cache

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn

from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.modules.video_clip_config import VideoCLIPConfig
from tc_clip_pl.profiling import count_parameters, count_total
from tc_clip_pl.training.cost_monitor import CostMonitor


def run_cost(model: VideoCLIP, trainer: Trainer) -> dict[str, float | None]:
    """Return what can be counted of a model, and what a test has measured.

    Args:
        model: Any system.
        trainer: The Trainer that has just tested it.

    Returns:
        `parameters`, without token embeddings, and `multiply_adds`, of one view and one text, both as in Table 6; and
        what `CostMonitor` measures.
    """
    monitors = (each for each in trainer.callbacks if isinstance(each, CostMonitor))
    measured = next((monitor.measure() for monitor in monitors), {})
    return {"parameters": count_parameters(model), "multiply_adds": _count_multiply_adds(model), **measured}


def _count_multiply_adds(model: VideoCLIP) -> int | None:
    try:
        counted = json.loads(model.config.to_json_string(use_diff=False))
        counted |= dict.fromkeys(VideoCLIPConfig.__annotations__.keys() & counted.keys())  # whose weights they are
        return _count_once(type(model), json.dumps(counted))
    except ValueError as error:  # no reason to lose the accuracies of a test
        rank_zero_warn(f"The multiply-adds of this run cannot be counted ({error}), and reports leave them out.")
        return None


@cache
def _count_once(system: type[VideoCLIP], config: str) -> int:
    """Count a configuration, given as JSON, which takes as long as some batches, once in a process."""
    return count_total(system.config_class.from_dict(json.loads(config)), system)
