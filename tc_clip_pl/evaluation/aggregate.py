"""What several accuracies come to: mean and spread over splits, harmonic mean of base and novel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, harmonic_mean, pstdev
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tc_clip_pl.evaluation.metrics import ClassificationFigures

HALVES = ("base", "novel")
__all__ = ["harmonic_mean", "mean_and_std", "summarize"]


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """Mean and population standard deviation (divided by the number of values), as in the paper's tables.

    Example:
        >>> mean_and_std([0.4, 0.8])
        (0.6, 0.2)
    """
    return fmean(values), pstdev(values)


def summarize(figures: Mapping[str, ClassificationFigures]) -> dict[str, float]:
    """Sum up the test sets of a run, by what their names, `<dataset>/<part>`, say of them.

    Args:
        figures: By the name of the test set. Several `split<n>` of a dataset are its splits; `base` and `novel` are
            the halves of its classes.

    Returns:
        Fractions. Of a dataset with several splits: `<dataset>/top1_mean`, `top1_std`, `top5_mean`, `top5_std`; of
        one with halves: `<dataset>/base_top1`, `novel_top1`, `harmonic_mean`; of several with splits: `all/top1_mean`.
    """
    summary: dict[str, float] = {}
    parts: dict[str, dict[str, ClassificationFigures]] = {}
    for name, of_test_set in figures.items():
        dataset, _, part = name.rpartition("/")
        parts.setdefault(dataset, {})[part] = of_test_set
    for dataset, of_dataset in parts.items():
        splits = [found for part, found in of_dataset.items() if part.startswith("split")]
        if len(splits) > 1:
            summary |= {f"{dataset}/{key}": value for key, value in _summarize_splits(splits).items()}
        if set(HALVES) <= of_dataset.keys():
            base, novel = (of_dataset[half].top1 for half in HALVES)
            halves = {"base_top1": base, "novel_top1": novel, "harmonic_mean": harmonic_mean([base, novel])}
            summary |= {f"{dataset}/{key}": value for key, value in halves.items()}
    means = [value for key, value in summary.items() if key.endswith("/top1_mean")]
    return summary | ({"all/top1_mean": fmean(means)} if len(means) > 1 else {})


def _summarize_splits(splits: Sequence[ClassificationFigures]) -> dict[str, float]:
    summary = {}
    for figure in ("top1", "top5"):
        mean, std = mean_and_std([getattr(split, figure) for split in splits])
        summary |= {f"{figure}_mean": mean, f"{figure}_std": std}
    return summary
