"""Results of many runs as a flat list of measurements, each said to belong to a method, a dataset and a K."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEFAULT_METHOD = "TC-CLIP"
OF_THE_MACHINE = ("views_per_forward",)
"""Settings of a model that change no figure."""


@dataclass(frozen=True)
class FinishedRun:
    """One results.json.

    Attributes:
        results: Its content.
        method: What its row is called; None takes the settings of the model that tell it from the other runs.
        settings: Swept settings, which tell it from others too.
    """

    results: Mapping[str, Any]
    method: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """The accuracies of one model on one test set, as fractions.

    Attributes:
        method: Name of the row.
        weight: Share of the fine-tuned weights.
        dataset: Such as `hmdb51`.
        part: Such as `split1`, `base` or `validation`.
        num_shots: K; None if all clips were trained on.
        top1: Top-1 accuracy.
        top5: Top-5 accuracy.
    """

    method: str
    weight: float
    dataset: str
    part: str
    num_shots: int | None
    top1: float
    top5: float


def read_results(path: Path) -> dict[str, Any]:
    """Read a results.json.

    Raises:
        ValueError: If it is none.
    """
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no complete results file ({error}); remove it or test again.") from error
    if not isinstance(results, dict) or not {"runs", "config", "data"} <= results.keys():
        raise ValueError(f"{path} is not a results file written by `tcclip test`.")
    return results


def find_results(folder: Path) -> list[Path]:
    """All results files under a folder, or the file itself, in alphabetical order."""
    return [folder] if folder.is_file() else sorted(folder.rglob("results*.json"))


def measure(runs: Sequence[FinishedRun]) -> list[Measurement]:
    """Flatten runs into measurements; a checkpoint tested twice in the same way counts once.

    Args:
        runs: Of any protocols.

    Returns:
        One measurement for each run, ensemble weight and test set.
    """
    measurements: dict[tuple, Measurement] = {}
    for run, method in zip(runs, name_methods(runs), strict=True):
        checkpoint = (run.results.get("checkpoint") or {}).get("sha256")
        shots = _num_shots(run.results["data"])
        for entry in run.results["runs"]:
            for name, figures in entry["test_sets"].items():
                key = (method, checkpoint, entry["ensemble_weight"], name, shots)
                dataset, _, part = name.rpartition("/")
                accuracies = (figures["top1"], figures["top5"])
                found = Measurement(method, entry["ensemble_weight"], dataset, part, shots, *accuracies)
                measurements.setdefault(key, found)
    return list(measurements.values())


def name_methods(runs: Sequence[FinishedRun]) -> list[str]:
    """Call each run by the method that its sweep or its configuration names, and by the settings that it does not
    share with all runs of that name.

    Example:
        With `tc_layers` given in one of two runs, they are called "tc_layers=[4, 8, 12]" and "TC-CLIP".
    """
    given = [run.method or run.results["config"].get("method") for run in runs]
    settings = [{**({} if run.method else _model_settings(run.results["config"])), **run.settings} for run in runs]
    names = []
    for method, own in zip(given, settings, strict=True):
        namesakes = [others for name, others in zip(given, settings, strict=True) if name == method]
        shared = set.intersection(*({(key, str(value)) for key, value in others.items()} for others in namesakes))
        words = [f"{key.rpartition('.')[2]}={value}" for key, value in own.items() if (key, str(value)) not in shared]
        names.append(", ".join([*([method] if method else []), *words]) or DEFAULT_METHOD)
    return names


def _model_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a configuration says of the model, flat, without what it leaves open."""
    model = config.get("model") or {}
    flat = {key: value for key, value in model.items() if not isinstance(value, Mapping)}
    flat |= {f"config.{key}": value for key, value in (model.get("config") or {}).items()}
    return {key: value for key, value in flat.items() if value not in (None, []) and key not in OF_THE_MACHINE}


def _num_shots(data: Mapping[str, Any]) -> int | None:
    """K of the training clips, of a data module or of the training part of a suite."""
    return (data.get("train") or data).get("num_shots")
