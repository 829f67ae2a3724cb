"""Measurements put into the cells of a table, beside the paper's figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from tc_clip_pl.evaluation.aggregate import harmonic_mean, mean_and_std
from tc_clip_pl.evaluation.collect_runs import Measurement
from tc_clip_pl.evaluation.paper_tables import Column, Layout, layout_of, paper_layout

PAPER_NOTE = "° the paper's figures"
PARTIAL_NOTE = "* not every dataset or K that the column averages is there"


MAX_METHOD_LENGTH = 28
"""Longer names of methods are spelt out below the table."""


@dataclass(frozen=True)
class Cell:
    """A figure: a fraction, its spread if it is a mean over several, and whether something of it is missing."""

    value: float
    std: float | None = None
    is_partial: bool = False

    def __str__(self) -> str:
        """In per cent."""
        spread = "" if self.std is None else f" ± {100 * self.std:.1f}"
        return f"{100 * self.value:.1f}{'*' if self.is_partial else ''}{spread}"


@dataclass(frozen=True)
class Row:
    """A line of a report: `cells` are as printed, "-" where there is nothing."""

    method: str
    weight: float | None
    cells: Sequence[str]
    is_paper: bool = False


@dataclass(frozen=True)
class Report:
    """A table ready to be printed: headings are (group, name), the legend spells out short names of methods."""

    title: str
    headings: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    has_weight_column: bool
    legend: Sequence[str] = ()

    @property
    def notes(self) -> list[str]:
        """What the signs in the table mean."""
        signs = {
            PAPER_NOTE: any(row.is_paper for row in self.rows),
            PARTIAL_NOTE: any("*" in cell for row in self.rows for cell in row.cells),
        }
        return [*self.legend, *(note for note, is_there in signs.items() if is_there)]


def build_report(measurements: Sequence[Measurement], layout: Layout, with_paper: bool = False) -> Report:
    """Fill a layout.

    Args:
        measurements: Of any number of runs.
        layout: Which columns there are.
        with_paper: Whether to add the paper's rows, each below the row of the same method and weight, or at the end.
            Without them, columns that nothing fills are left out.

    Returns:
        The table.
    """
    shown = {name: column for name, column in layout.columns.items() if not column.hidden}
    rows, short = [], _short_names(measurements)
    for method, weight in _row_keys(measurements, layout):
        own = [m for m in measurements if m.method == method and weight in (None, m.weight)]
        cells = fill_cells(layout.columns, own)
        rows.append(Row(short[method], weight, [str(cells.get(name, "-")) for name in shown]))
    headings = [(column.group, column.name) for column in shown.values()]
    legend = [f"{name}: {method}" for method, name in short.items() if name != method]
    report = Report(layout.title, headings, rows, layout.has_weight_column, legend)
    return _with_paper_rows(report, layout) if with_paper else _without_empty_columns(report)


def build_report_of_protocol(measurements: Sequence[Measurement], protocol: str | None) -> Report:
    """Fill the layout of the protocol's table, or a plain one where there is none or it has no place for the data."""
    layouts = [*([paper_layout(protocol)] if protocol is not None else []), layout_of(measurements)]
    reports = (build_report(measurements, layout) for layout in layouts)
    return next(report for report in reports if report.headings)


def fill_cells(columns: Mapping[str, Column], measurements: Sequence[Measurement]) -> dict[str, Cell]:
    """The cells of one row, by the name of the column; those that cannot be filled are left out."""
    cells: dict[str, Cell] = {}
    for name, column in columns.items():
        cell = _average(column, measurements) if column.is_measured else _combine(column, cells)
        if cell is not None:
            cells[name] = cell
    return cells


def _average(column: Column, measurements: Sequence[Measurement]) -> Cell | None:
    """Mean over splits and seeds, with their spread, then over datasets and shots."""
    groups: dict[tuple, list[float]] = {}
    for found in measurements:
        if all(_matches(getattr(found, key), wanted) for key, wanted in column.select.items()):
            groups.setdefault((found.dataset, found.num_shots), []).append(getattr(found, column.figure))
    if not groups:
        return None
    expected = math.prod(len(_as_list(column.select[key])) for key in ("dataset", "num_shots") if key in column.select)
    if len(groups) > 1 or expected > 1:
        return Cell(fmean(map(fmean, groups.values())), is_partial=len(groups) < expected)
    (values,) = groups.values()
    mean, std = mean_and_std(values)
    return Cell(mean, std if len(values) > 1 else None)


def _combine(column: Column, cells: Mapping[str, Cell]) -> Cell | None:
    """Mean, or harmonic mean, of other columns of the row."""
    names, mean = (column.mean_of, fmean) if column.mean_of else (column.harmonic_mean_of, harmonic_mean)
    parts = [cells[name] for name in names if name in cells]
    if not parts or len(parts) < len(names):
        return None
    return Cell(mean([part.value for part in parts]), is_partial=any(part.is_partial for part in parts))


def _as_list(wanted: object) -> list:
    return list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]


def _matches(value: object, wanted: object) -> bool:
    return value in _as_list(wanted)


def _short_names(measurements: Sequence[Measurement]) -> dict[str, str]:
    """The methods with what stands for each in the table."""
    methods = list(dict.fromkeys(found.method for found in measurements))
    long = [method for method in methods if len(method) > MAX_METHOD_LENGTH]
    return {method: f"setting {long.index(method) + 1}" if method in long else method for method in methods}


def _row_keys(measurements: Sequence[Measurement], layout: Layout) -> list[tuple[str, float | None]]:
    weighted = layout.has_weight_column
    return list(dict.fromkeys((found.method, found.weight if weighted else None) for found in measurements))


def _with_paper_rows(report: Report, layout: Layout) -> Report:
    papers = [Row(row.method, row.weight, row.figures, is_paper=True) for row in layout.paper_rows]
    own = {(row.method, row.weight) for row in report.rows}
    rows = []
    for row in report.rows:
        rows += [row, *(p for p in papers if (p.method, p.weight) == (row.method, row.weight))]
    rows += [paper for paper in papers if (paper.method, paper.weight) not in own]
    return replace(report, rows=rows)


def _without_empty_columns(report: Report) -> Report:
    filled = [n for n in range(len(report.headings)) if any(row.cells[n] != "-" for row in report.rows)]
    rows = [Row(row.method, row.weight, [row.cells[n] for n in filled]) for row in report.rows]
    return replace(report, headings=[report.headings[n] for n in filled], rows=rows)
