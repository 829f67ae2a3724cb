"""Results as a table for people: per cent, side by side without and with ensembling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tc_clip_pl.evaluation.results import TestRun

if TYPE_CHECKING:
    from rich.table import Table


def results_table(runs: Sequence[TestRun], title: str = "Test accuracy in per cent") -> Table:
    """Lay out test runs: a row for each test set, top-1 and top-5 for each ensemble weight.

    Args:
        runs: Passes over the same test sets.
        title: What stands above the table.

    Returns:
        A table for `rich.print`.
    """
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("\ntest set", no_wrap=True)
    table.add_column("\nclips", justify="right")
    for run in runs:
        table.add_column(f"{run_name(run)}\ntop-1", justify="right", no_wrap=True)
        table.add_column("\ntop-5", justify="right")
    for name in runs[0].figures:
        figures = [run.figures[name] for run in runs]
        accuracies = [f"{100 * accuracy:.2f}" for each in figures for accuracy in (each.top1, each.top5)]
        table.add_row(name, str(figures[0].num_clips), *accuracies)
    return table


def run_name(run: TestRun) -> str:
    """What a run tested, in words."""
    return "fine-tuned" if run.ensemble_weight == 1.0 else f"ensembled, w={run.ensemble_weight:g}"
