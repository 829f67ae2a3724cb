"""The results of a test: one JSON with every figure and all that produced it."""

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
    from tc_clip_pl.evaluation.metrics import ClassificationFigures

REPORTED_PACKAGES = ("tcclip", "torch", "torchvision", "transformers", "lightning", "torchmetrics", "av", "decord")


@dataclass(frozen=True)
class TestRun:
    """One pass over all test sets.

    Attributes:
        ensemble_weight: Share of the fine-tuned weights, in [0, 1]; 1 is the fine-tuned model itself.
        figures: By the name of the test set.
    """

    __test__ = False  # not a test case, whatever its name says to pytest

    ensemble_weight: float
    figures: Mapping[str, ClassificationFigures]

    @property
    def summary(self) -> dict[str, float]:
        """Means over splits, harmonic means of base and novel, as `summarize` names them."""
        return summarize(self.figures)


def build_results(
    runs: Sequence[TestRun],
    class_names: Mapping[str, Sequence[str]],
    *,
    config: Mapping[str, Any],
    data: Mapping[str, Any],
    checkpoint: str | Path | None,
    skipped: Sequence[str] = (),
    machine: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Gather what a reader needs to trust and repeat a result.

    Args:
        runs: The passes over the test sets, one for each ensemble weight.
        class_names: By the name of the test set.
        config: The whole configuration of the run; its `seed_everything` is the seed.
        data: Summary by the data module: split files with their hashes, numbers of clips, views.
        checkpoint: The tested file; None if the model was tested as it was loaded.
        skipped: Clips that could not be read, "path: reason".
        machine: What it ran on: devices, processes, precision.

    Returns:
        Plain values, ready for JSON. Accuracies are fractions.
    """
    return {
        "runs": [
            {
                "ensemble_weight": run.ensemble_weight,
                "summary": run.summary,
                "test_sets": {name: _figures(f, class_names[name]) for name, f in run.figures.items()},
            }
            for run in runs
        ],
        "checkpoint": {"path": str(checkpoint), "sha256": hash_file(checkpoint)} if checkpoint else None,
        "seed": config.get("seed_everything"),
        "data": dict(data),
        "skipped_clips": list(skipped),
        "versions": installed_versions(),
        "machine": dict(machine or {}),
        "config": dict(config),
    }


def write_results(results: Mapping[str, Any], path: str | Path) -> Path:
    """Write results as JSON.

    Raises:
        FileExistsError: If the file is there already: a result is never overwritten.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} is there already; results are never overwritten.")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")  # an interruption leaves no half of a file under its name
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(results, file, indent=1, ensure_ascii=False, default=str)
        file.write("\n")
    unfinished.rename(path)
    return path


def hash_file(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on; those not installed are left out."""
    versions = {"python": platform.python_version()}
    for package in REPORTED_PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _figures(figures: ClassificationFigures, class_names: Sequence[str]) -> dict[str, Any]:
    return {
        "num_clips": figures.num_clips,
        "top1": figures.top1,
        "top5": figures.top5,
        "per_class_top1": dict(zip(class_names, figures.per_class, strict=True)),
        "confusion_matrix": figures.confusion,
    }
