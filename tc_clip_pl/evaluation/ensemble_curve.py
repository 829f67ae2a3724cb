"""Accuracy by ensemble weight (Fig. 8): numbers, files, and the picture."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from tc_clip_pl.evaluation.aggregate import EvaluationSet
from tc_clip_pl.evaluation.results import EvaluationRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table

PAPER_WEIGHT = 0.7
COLUMN = 3.4  # inches of a column of a paper
MARKERS = "osD^vP*X"


@dataclass(frozen=True)
class EnsembleCurve:
    """Top-1 accuracy of several ensemble weights.

    Attributes:
        weights: N shares w of the fine-tuned weights, ascending.
        top1: N accuracies (0..1) by dataset, splits averaged; halves of the classes apart.
        mean: N means over the datasets, those of training left out.
        best: The weight with the best mean; of equal ones the largest.
        trained_on: The entry of `top1` that the model was trained on, if it was tested too.
    """

    weights: list[float]
    top1: dict[str, list[float]]
    mean: list[float]
    best: float
    trained_on: str | None = None


def build_curve(
    runs: Iterable[EvaluationRun], evaluation_sets: Sequence[EvaluationSet], trained_on: str | None = None
) -> EnsembleCurve:
    """Collect the accuracies of a test with several ensemble weights.

    Args:
        runs: One pass over the test sets for each weight.
        evaluation_sets: The test sets.
        trained_on: Name of the dataset that the model was trained on, where others were tested.
    """
    ordered = sorted(runs, key=lambda run: run.ensemble_weight)
    groups: dict[str, list[str]] = {}
    for entry in evaluation_sets:
        group = entry.dataset if entry.part.startswith("split") else entry.name
        groups.setdefault(group, []).append(entry.name)
    top1 = {
        group: [fmean(run.metrics[name].top1 for name in names) for run in ordered] for group, names in groups.items()
    }
    trained = next((group for group in groups if trained_on and group.split("/")[0] == trained_on), None)
    others = [values for group, values in top1.items() if group != trained] or list(top1.values())
    mean = [fmean(values) for values in zip(*others, strict=True)]
    weights = [run.ensemble_weight for run in ordered]
    best = max(zip(mean, weights, strict=True))[1]
    return EnsembleCurve(weights, top1, mean, best, trained if len(groups) > 1 else None)


def write_curve(curve: EnsembleCurve, stem: Path) -> list[Path]:
    """Write a curve as CSV, JSON, PNG and PDF.

    Args:
        curve: The curve.
        stem: Path of the files without their suffix; existing ones are overwritten.

    Returns:
        The files.
    """
    files = [stem.with_suffix(suffix) for suffix in (".csv", ".json", ".png", ".pdf")]
    with files[0].open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["w", *curve.top1, "mean"])
        for number, weight in enumerate(curve.weights):
            values = [*(column[number] for column in curve.top1.values()), curve.mean[number]]
            writer.writerow([f"{weight:g}", *(f"{value:.6f}" for value in values)])
    files[1].write_text(json.dumps(asdict(curve), indent=1) + "\n", encoding="utf-8")
    figure = draw_curve(curve)
    figure.savefig(files[2], dpi=200)
    figure.savefig(files[3])
    return files


def curve_table(curve: EnsembleCurve) -> Table:
    """Build the table of a curve for a terminal, the best weight marked."""
    from rich import box
    from rich.table import Table

    table = Table("w", title="Top-1 (%) by ensemble weight", box=box.SIMPLE_HEAD, title_justify="left", min_width=30)
    for name in curve.top1:
        table.add_column(name, justify="right", overflow="fold")
    has_mean = len(curve.top1) > 1
    if has_mean:
        table.add_column("mean", justify="right", no_wrap=True)
    for number, weight in enumerate(curve.weights):
        values = [*(column[number] for column in curve.top1.values()), *([curve.mean[number]] if has_mean else [])]
        is_best = weight == curve.best
        cells = [f"{100 * value:.2f}" for value in values]
        table.add_row(f"{weight:g}{' *' if is_best else ''}", *cells, style="bold" if is_best else "")
    left_out = f", without {curve.trained_on}, which was trained on" if curve.trained_on else ""
    table.caption = f"* the best mean{left_out}" if has_mean else "* the best"
    table.caption_justify = "left"
    return table


def draw_curve(curve: EnsembleCurve) -> Figure:
    """Draw accuracy by weight, and beside it, where the training dataset was tested, the trade-off of Fig. 8."""
    from matplotlib.figure import Figure  # not pyplot, which keeps every figure alive

    panels = 2 if curve.trained_on else 1
    figure = Figure(figsize=(COLUMN * panels, 2.7), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _draw_by_weight(axes[0], curve)
    if curve.trained_on:
        _draw_trade_off(axes[1], curve)
    return figure


def _draw_by_weight(axes: Axes, curve: EnsembleCurve) -> None:
    for number, (name, values) in enumerate(curve.top1.items()):
        marker = MARKERS[number % len(MARKERS)]
        axes.plot(curve.weights, [100 * v for v in values], marker=marker, markersize=3.5, linewidth=1.2, label=name)
    axes.axvline(PAPER_WEIGHT, color="0.6", linestyle=":", linewidth=1, zorder=0)
    axes.annotate(f"{PAPER_WEIGHT}", (PAPER_WEIGHT, 1), (0, 2), xycoords=("data", "axes fraction"),
                  textcoords="offset points", ha="center", fontsize=7, color="0.4")  # fmt: skip
    axes.set_xlabel("w: 0 = CLIP's encoders, 1 = fine-tuned", fontsize=8)
    axes.set_ylabel("top-1 (%)", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, framealpha=0.8)


def _draw_trade_off(axes: Axes, curve: EnsembleCurve) -> None:
    x, y = ([100 * value for value in values] for values in (curve.top1[curve.trained_on], curve.mean))
    axes.plot(x, y, marker="o", markersize=3.5, linewidth=1.2, color="C3")
    weights_at: dict[tuple[float, float], list[str]] = {}
    for weight, *point in zip(curve.weights, x, y, strict=True):
        weights_at.setdefault(tuple(point), []).append(f"{weight:g}")
    for point, weights in weights_at.items():
        axes.annotate(", ".join(weights), point, (3, 3), textcoords="offset points", fontsize=6)
    axes.margins(0.12)
    axes.set_xlabel(f"top-1 on {curve.trained_on}, trained on (%)", fontsize=8)
    axes.set_ylabel("mean top-1 of the others (%)", fontsize=8)
    axes.tick_params(labelsize=7)
