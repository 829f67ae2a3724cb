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

REPORTED_PACKAGES = (
    *("tcclip", "torch", "torchvision", "transformers", "lightning", "torchmetrics"),
    *("av", "decord", "torchcodec"),
)


@dataclass(frozen=True)
class EvaluationRun:
    """One pass over all test sets.

    Attributes:
        ensemble_weight: Share of the fine-tuned weights, in [0, 1]; 1 is the fine-tuned model without ensembling.
        metrics: Metrics by the name of the test set.
        is_clip: Whether the model has no parameters but CLIP's, so that a weight of 0 leaves CLIP itself.
    """

    ensemble_weight: float
    metrics: Mapping[str, ClassificationMetrics]
    is_clip: bool = False


def build_results(
    runs: Sequence[EvaluationRun],
    evaluation_sets: Sequence[EvaluationSet],
    *,
    config: Mapping[str, Any],
    data: Mapping[str, Any],
    checkpoint: str | Path | None,
    checkpoint_facts: Mapping[str, Any] | None = None,
    clip: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    command: Sequence[str] = (),
    skipped: Sequence[str] = (),
    machine: Mapping[str, Any] | None = None,
    minutes: float | None = None,
    cost: Mapping[str, float | None] | None = None,
) -> dict[str, Any]:
    """Collect the metrics of a run with everything that produced them.

    Args:
        runs: One pass over the test sets for each ensemble weight.
        evaluation_sets: The test sets.
        config: The whole configuration of the run; `seed_everything` in it is the seed.
        data: Summary from the data module: split files with their hashes, clip counts, views.
        checkpoint: The tested file; None for a model tested as it was loaded.
        checkpoint_facts: What the checkpoint says of itself: `epoch`, `global_step`, and `selection`, which is `last`
            or `best`.
        clip: The CLIP that the model starts from: `name` and `sha256` of its weights.
        training: How the tested weights were trained: `seed`, `num_shots`, `max_epochs`, `optimizer`, `lr_scheduler`
            and other settings, by their names in the configuration. They may differ from `config`, which is that of
            the test.
        command: The argv of the run.
        skipped: Clips that could not be read, as "path: reason".
        machine: Device, number of processes and precision of the run.
        minutes: Duration of the command so far.
        cost: `parameters`, `multiply_adds`, `views_per_second` and `memory_gib`, as far as they are known.

    Returns:
        Plain values, ready for JSON. Accuracies are fractions; `top5` is None with at most five classes. `partial` is
        False, or says how many of its clips each incomplete test set counted.
    """
    partial = find_partial_tests({entry.name: runs[0].metrics[entry.name].num_clips for entry in evaluation_sets}, data)
    return {
        "runs": [_describe_run(run, evaluation_sets) for run in runs],
        "partial": "; ".join(f"{name}: {reason}" for name, reason in partial.items()) or False,
        "command": list(command),
        "checkpoint": _describe_checkpoint(checkpoint, checkpoint_facts or {}) if checkpoint else None,
        "clip": dict(clip) if clip else None,
        "training": dict(training or {}),
        "seed": (training or {}).get("seed", config.get("seed_everything")),
        "data": dict(data),
        "skipped_clips": list(skipped),
        "versions": installed_versions(),
        "machine": dict(machine or {}),
        "minutes": minutes,
        "cost": dict(cost or {}),
        "config": dict(config),
    }


def find_partial_tests(num_clips: Mapping[str, int], data: Mapping[str, Any]) -> dict[str, str]:
    """Find the test sets of which only some clips were tested: `limit_test_batches`, or clips that were skipped.

    Args:
        num_clips: Number of tested clips by the name of the test set.
        data: Summary from the data module.

    Returns:
        A reason such as "16 of 3783 clips" for each of them, by name.
    """
    # A suite has one summary per tested data module, each with splits of its own.
    summaries = (data.get("tests") or {"": data}).values()
    splits = {name: split for each in summaries for name, split in (each.get("splits") or {}).items()}
    listed = {name: split["num_clips"] for name, split in splits.items() if "num_clips" in split}
    return {name: f"{n} of {listed[name]} clips" for name, n in num_clips.items() if n < listed.get(name, n)}


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


def _describe_checkpoint(checkpoint: str | Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: facts.get(name) for name in ("epoch", "global_step", "selection")}
    return {"path": str(checkpoint), "sha256": hash_file(checkpoint), **known}


def _describe_run(run: EvaluationRun, evaluation_sets: Sequence[EvaluationSet]) -> dict[str, Any]:
    return {
        "ensemble_weight": run.ensemble_weight,
        "summary": summarize(evaluation_sets, run.metrics),
        "test_sets": {entry.name: _describe_test(entry, run.metrics[entry.name]) for entry in evaluation_sets},
    }


def _describe_test(entry: EvaluationSet, metrics: ClassificationMetrics) -> dict[str, Any]:
    return {
        "dataset": entry.dataset,
        "part": entry.part,
        "num_clips": metrics.num_clips,
        "top1": metrics.top1,
        "top5": metrics.reported_top5,
        "per_class_top1": dict(zip(entry.class_names, metrics.per_class, strict=True)),
        "confusion_matrix": metrics.confusion,
    }
