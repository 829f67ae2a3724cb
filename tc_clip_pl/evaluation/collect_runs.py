"""The accuracies of many runs in one data frame, one row per method, ensemble weight and test set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tc_clip_pl.evaluation.method_names import name_methods
from tc_clip_pl.evaluation.metrics import TOP
from tc_clip_pl.evaluation.run_identity import FinishedRun

IDENTITY = ["method", "checkpoint", "weight", "dataset", "part", "num_shots"]
ACCURACIES = ["top1", "top5"]
REMARKS = ["partial", "is_chosen"]
COSTS = ["parameters", "multiply_adds", "views_per_second", "memory_gib"]


def collect_measurements(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Collect the accuracies of runs, which may belong to different protocols.

    Returns:
        One row per measurement. `method`: name of the table row; `checkpoint`: SHA-256, or the seeds and the split of
        a run without one; `weight`: share of the fine-tuned weights; `dataset` and `part`, such as `hmdb51` and
        `split1`; `num_shots`: K, None if trained on all clips; `top1` and `top5`: fractions, `top5` NaN with at most
        five classes; `partial`: a reason such as "16 of 3783 clips", None if all were tested; `is_chosen`: whether the
        tested epoch was chosen on these clips; and the `COSTS` of the run, NaN where they are unknown.
    """
    rows = [
        row
        for run, method in zip(runs, name_methods(runs), strict=True)
        for row in _measurements_of(run, {"method": method, "num_shots": run.num_shots})
    ]
    # dtype=object: a column of K and None would otherwise turn into floats and NaN, which match no K.
    measurements = pd.DataFrame(rows, columns=[*IDENTITY, *ACCURACIES, *REMARKS, *COSTS], dtype=object)
    # A checkpoint tested twice in the same way is one measurement; seeds differ in their checkpoint and all count.
    return measurements.drop_duplicates(IDENTITY).astype(dict.fromkeys(["weight", *ACCURACIES, *COSTS], float))


def _measurements_of(run: FinishedRun, common: Mapping[str, Any]) -> list[dict[str, Any]]:
    # Without a file, as after a training without checkpoints, the seeds and the split tell two runs apart.
    checkpoint, partial = run.checkpoint or str(run.draw), run.partial_tests()
    cost = run.results.get("cost") or {}  # earlier versions wrote none
    return [
        {
            **common,
            "checkpoint": checkpoint,
            "weight": tested["ensemble_weight"],
            "dataset": entry["dataset"],
            "part": entry["part"],
            "top1": entry["top1"],
            # Earlier versions wrote the top-5 of any number of classes.
            "top5": None if 0 < len(entry.get("per_class_top1") or ()) <= TOP else entry["top5"],
            "partial": partial.get(name),
            # The base classes choose the epoch; the novel ones are only tested.
            "is_chosen": run.is_chosen_on_test and entry["part"] != "novel",
            **{name: cost.get(name) for name in COSTS},
        }
        for tested in run.results["runs"]
        for name, entry in tested["test_sets"].items()
    ]
