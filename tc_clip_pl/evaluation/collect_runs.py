"""The accuracies of many runs in one data frame, one row per method, ensemble weight and test set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

DEFAULT_METHOD = "TC-CLIP"
IGNORED_SETTINGS = ("views_per_forward",)
"""Model settings that do not change the accuracy."""
WRAPPERS = ("config", "class_path", "init_args")
"""Levels of the configuration that only hold other settings; the names shown in a report leave them out."""
IDENTITY = ["method", "checkpoint", "weight", "dataset", "part", "num_shots"]
ACCURACIES = ["top1", "top5"]


@dataclass(frozen=True)
class FinishedRun:
    """One results.json.

    Attributes:
        results: Its content.
        method: Name of its row; None names it by the model settings that differ between the runs.
        settings: Swept settings by dotted key, which also distinguish runs.
    """

    results: Mapping[str, Any]
    method: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def checkpoint(self) -> str | None:
        """SHA-256 of the tested checkpoint; None for a model tested as it was loaded."""
        return (self.results.get("checkpoint") or {}).get("sha256")

    @property
    def num_shots(self) -> int | None:
        """K of the training clips, also of the training dataset of a suite; None if trained on all clips."""
        data = self.results["data"]
        return (data.get("train") or data).get("num_shots")


def collect_measurements(runs: Sequence[FinishedRun]) -> pd.DataFrame:
    """Collect the accuracies of runs, which may belong to different protocols.

    Returns:
        One row per measurement. `method`: name of the table row; `checkpoint`: SHA-256 or None; `weight`: share of the
        fine-tuned weights; `dataset` and `part`, such as `hmdb51` and `split1`; `num_shots`: K, None if trained on
        all clips; `top1` and `top5`: fractions.
    """
    rows = [
        {
            "method": method,
            "checkpoint": finished.checkpoint,
            "num_shots": finished.num_shots,
            "weight": run["ensemble_weight"],
            **entry,
        }
        for finished, method in zip(runs, name_methods(runs), strict=True)
        for run in finished.results["runs"]
        for entry in run["test_sets"].values()
    ]
    # dtype=object: a column of K and None would otherwise turn into floats and NaN, which match no K.
    measurements = pd.DataFrame(rows, columns=[*IDENTITY, *ACCURACIES], dtype=object)
    # A checkpoint tested twice in the same way is one measurement; seeds differ in their checkpoint and all count.
    return measurements.drop_duplicates(IDENTITY).astype(dict.fromkeys(["weight", *ACCURACIES], float))


def name_methods(runs: Sequence[FinishedRun]) -> list[str]:
    """Name each run by its method and by the settings that differ between the runs of this method.

    The method is the one that its sweep or its configuration names.

    Example:
        If only one of two runs sets `tc_layers`, they are named "tc_layers=[4, 8, 12]" and "TC-CLIP".
    """
    methods = [run.method or run.results["config"].get("method") or "" for run in runs]
    settings = pd.DataFrame([_settings(run) for run in runs])  # NaN where a run lacks a setting of another
    names = dict(enumerate(methods))
    for method, namesakes in settings.groupby(pd.Series(methods)):
        differing = namesakes.loc[:, namesakes.nunique(dropna=False) > 1]
        for number, row in differing.iterrows():
            texts = [method, *(f"{key}={value}" for key, value in row.dropna().items())]
            names[number] = ", ".join(filter(None, texts)) or DEFAULT_METHOD
    return list(names.values())


def _settings(run: FinishedRun) -> dict[str, str]:
    """Return what distinguishes a run: the model's settings, unless its method has a name, and the swept ones."""
    model = {} if run.method else _flatten({"model": run.results["config"].get("model") or {}})
    # None and empty lists mean that a setting is left open.
    given = {key: text for key, text in model.items() if text not in ("null", "[]") and key not in IGNORED_SETTINGS}
    return given | _flatten(run.settings)


def _flatten(settings: Mapping[str, Any]) -> dict[str, str]:
    """Flatten sections of a configuration; keys lose their section and wrappers, values become text.

    Example:
        >>> _flatten({"model": {"optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}}}})
        {'optimizer': 'SGD', 'optimizer.lr': '0.1'}
        >>> _flatten({"model.config.seed_selection": "ats"})
        {'seed_selection': 'ats'}
    """
    flat: dict[str, str] = {}
    for key, value in settings.items():
        section, *path = key.split(".")
        if isinstance(value, Mapping):
            flat |= _flatten({f"{key}.{inner}": inner_value for inner, inner_value in value.items()})
        else:
            text = json.dumps(value, ensure_ascii=False, default=str).replace('"', "")
            name = ".".join(part for part in path if part not in WRAPPERS) or section
            flat[name] = text.rpartition(".")[2] if path[-1:] == ["class_path"] else text
    return flat
