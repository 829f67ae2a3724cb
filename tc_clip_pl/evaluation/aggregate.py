"""Summary metrics of one evaluation run: mean and spread over splits, harmonic mean of base and novel.

Plain Python rather than pandas: training logs these few numbers, and need not import pandas for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, harmonic_mean, pstdev
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tc_clip_pl.evaluation.metrics import ClassificationMetrics

HALVES = ("base", "novel")
"""Parts that hold the two halves of a dataset's classes."""


class EvaluationSet(Protocol):
    """What evaluation needs to know about a test set."""

    @property
    def dataset(self) -> str:
        """Name of the dataset, such as `hmdb51`."""

    @property
    def part(self) -> str:
        """Part of the test protocol, such as `split1`, `base`, `novel` or `validation`."""

    @property
    def class_names(self) -> Sequence[str]:
        """Y class names; the position is the label."""

    @property
    def name(self) -> str:
        """Name in logs and reports: `<dataset>/<part>`."""


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the population standard deviation (divided by n), as in the paper's tables.

    Example:
        >>> mean_and_std([0.4, 0.8])
        (0.6, 0.2)
    """
    return fmean(values), pstdev(values)


def summarize(
    evaluation_sets: Iterable[EvaluationSet], metrics: Mapping[str, ClassificationMetrics]
) -> dict[str, float]:
    """Summarize the metrics of the test sets of one evaluation run.

    Args:
        evaluation_sets: The test sets, in any order.
        metrics: Metrics by the name of the test set.

    Returns:
        Accuracies as fractions. For a dataset with several splits: `<dataset>/top1_mean`, `top1_std`, `top5_mean` and
        `top5_std` (no top-5 with at most five classes). For a dataset with base and novel classes:
        `<dataset>/base_top1`, `novel_top1` and `harmonic_mean`. For several datasets with splits: `all/top1_mean`.
        Empty for a single test set.
    """
    datasets: dict[str, dict[str, ClassificationMetrics]] = {}
    for entry in evaluation_sets:
        datasets.setdefault(entry.dataset, {})[entry.part] = metrics[entry.name]
    summary: dict[str, float] = {}
    for dataset, parts in datasets.items():
        of_dataset = {**_summarize_splits(parts), **_summarize_halves(parts)}
        summary |= {f"{dataset}/{key}": value for key, value in of_dataset.items()}
    # Each dataset counts once, however many splits it has (Table 2, "All").
    means = [summary[f"{dataset}/top1_mean"] for dataset in datasets if f"{dataset}/top1_mean" in summary]
    return summary | ({"all/top1_mean": fmean(means)} if len(means) > 1 else {})


def _summarize_splits(parts: Mapping[str, ClassificationMetrics]) -> dict[str, float]:
    splits = [metrics for part, metrics in parts.items() if part.startswith("split")]
    if len(splits) < 2:
        return {}
    top1_mean, top1_std = mean_and_std([split.top1 for split in splits])
    summary = {"top1_mean": top1_mean, "top1_std": top1_std}
    # All splits of a dataset have the same classes.
    if None not in (top5 := [split.reported_top5 for split in splits]):
        summary["top5_mean"], summary["top5_std"] = mean_and_std(top5)
    return summary


def _summarize_halves(parts: Mapping[str, ClassificationMetrics]) -> dict[str, float]:
    if not set(HALVES) <= parts.keys():
        return {}
    base, novel = (parts[half].top1 for half in HALVES)
    return {"base_top1": base, "novel_top1": novel, "harmonic_mean": harmonic_mean([base, novel])}
