"""The results.json of a run: every metric, and everything needed to trust and repeat them."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.evaluation.aggregate import summarize

if TYPE_CHECKING:
    from tc_clip_pl.evaluation.aggregate import EvaluationSet
    from tc_clip_pl.evaluation.metrics import ClassificationMetrics

REPORTED_PACKAGES = ("tcclip", "torch", "torchvision", "transformers", "lightning", "torchmetrics", "av", "decord")


@dataclass(frozen=True)
class EvaluationRun:
    """One pass over all test sets.

    Attributes:
        ensemble_weight: Share of the fine-tuned weights, in [0, 1]; 1 is the fine-tuned model without ensembling.
        metrics: Metrics by the name of the test set.
    """

    ensemble_weight: float
    metrics: Mapping[str, ClassificationMetrics]


def build_results(
    runs: Sequence[EvaluationRun],
    evaluation_sets: Sequence[EvaluationSet],
    *,
    config: Mapping[str, Any],
    data: Mapping[str, Any],
    checkpoint: str | Path | None,
    skipped: Sequence[str] = (),
    machine: Mapping[str, Any] | None = None,
    command: Sequence[str] = (),
    checkpoint_facts: Mapping[str, Any] | None = None,
    clip: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Collect the metrics of a run with everything that produced them.

    Args:
        runs: One pass over the test sets for each ensemble weight.
        evaluation_sets: The test sets.
        config: The whole configuration of the run; `seed_everything` in it is the seed.
        data: Summary from the data module: split files with their hashes, clip counts, views.
        checkpoint: The tested file; None for a model tested as it was loaded.
        skipped: Clips that could not be read, as "path: reason".
        machine: Device, number of processes and precision of the run.
        command: The command line.
        checkpoint_facts: `epoch`, `global_step` and `selection` ("last", "best" or None) of the tested file.
        clip: `name` and `sha256` of the CLIP that the model was made from.
        training: How the tested weights were trained, from their checkpoint; empty if they were not.

    Returns:
        Plain values, ready for JSON. Accuracies are fractions.
    """
    return {
        "runs": [
            {
                "ensemble_weight": run.ensemble_weight,
                "summary": summarize(evaluation_sets, run.metrics),
                "test_sets": {entry.name: _describe(entry, run.metrics[entry.name]) for entry in evaluation_sets},
            }
            for run in runs
        ],
        "command": list(command),
        "checkpoint": _describe_file(checkpoint, checkpoint_facts or {}) if checkpoint else None,
        "clip": dict(clip or {}),
        "training": dict(training or {}),
        "seed": (training or {}).get("seed", config.get("seed_everything")),
        "data": dict(data),
        "skipped_clips": list(skipped),
        "versions": installed_versions(),
        "machine": dict(machine or {}),
        "config": dict(config),
    }


def write_results(results: Mapping[str, Any], path: str | Path) -> Path:
    """Write results as JSON.

    Raises:
        FileExistsError: If the file exists; results are never overwritten.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists, and results are never overwritten; choose another file.")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Renaming is atomic: an interrupted write never leaves a truncated results.json.
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(results, file, indent=1, ensure_ascii=False, default=str)
        file.write("\n")
    unfinished.rename(path)
    return path


def find_results(folder: Path) -> list[Path]:
    """Return all results files below a folder in alphabetical order, or the file itself."""
    return [folder] if folder.is_file() else sorted(folder.rglob("results*.json"))


def read_results(path: Path) -> dict[str, Any]:
    """Read a results.json.

    Raises:
        ValueError: If the file is truncated, is not a results file, or was written by an earlier version.
    """
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a complete results file ({error}); delete it or test again.") from error
    if not isinstance(results, dict) or not {"runs", "config", "data"} <= results.keys():
        raise ValueError(f"{path} is not a results file; give one written by `tcclip fit` or `tcclip test`.")
    if not all({"dataset", "part"} <= e.keys() for run in results["runs"] for e in run["test_sets"].values()):
        raise ValueError(
            f"{path} was written by an earlier version that did not record the dataset and part of each test set; "
            "test the checkpoint again with `tcclip test`, or move the file out of the folder."
        )
    return results


def hash_file(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):  # 1 MiB at a time: checkpoints can exceed the memory left over
            digest.update(block)
    return digest.hexdigest()


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that results depend on."""
    versions = {"python": platform.python_version()}
    for package in REPORTED_PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _describe_file(checkpoint: str | Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: facts.get(name) for name in ("epoch", "global_step", "selection")}
    return {"path": str(checkpoint), "sha256": hash_file(checkpoint), **known}


def _describe(entry: EvaluationSet, metrics: ClassificationMetrics) -> dict[str, Any]:
    return {
        "dataset": entry.dataset,
        "part": entry.part,
        "num_clips": metrics.num_clips,
        "top1": metrics.top1,
        "top5": metrics.top5,
        "per_class_top1": dict(zip(entry.class_names, metrics.per_class, strict=True)),
        "confusion_matrix": metrics.confusion,
    }
