"""Report tables: measurements averaged into the cells of a layout, next to the published rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from tc_clip_pl.evaluation.table_layout import Column, Layout, layout_of, paper_layout

WEIGHT_NOTE = "w: share of the fine-tuned weights, 1 without weight ensembling"
CLIP_NOTE = "w = 0: the encoders are CLIP's; whatever else the model has stays as trained"
PAPER_NOTE = "° published in the paper"
INCOMPLETE, PARTIAL, CHOSEN = "*", "†", "‡"
INCOMPLETE_NOTE = f"{INCOMPLETE} average of only some of the column's datasets or K"
PARTIAL_NOTE = f"{PARTIAL} partial test, not comparable: "
CHOSEN_NOTE = f"{CHOSEN} tested at its best epoch on these clips, which flatters it; `last` is not chosen"
# Cost -> its unit in the table.
COSTS = {"parameters": 1e6, "multiply_adds": 1e9, "views_per_second": 1, "memory_gib": 1}
EMPTY = "-"
ROW = ["method", "w"]


@dataclass(frozen=True)
class Report:
    """A table ready to print.

    Attributes:
        title: Title without the unit.
        table: Cells as printed. The columns are (group, name) of the heading; the first ones are ("", "method") and,
            unless the other columns have an ensemble weight each, ("", "w").
        is_paper: Whether each row is a published one.
        notes: Explanations of the signs in the table.
    """

    title: str
    table: pd.DataFrame
    is_paper: Sequence[bool]
    notes: Sequence[str]

    @property
    def has_cells(self) -> bool:
        """Whether there is anything beside the methods and weights."""
        return any(group or name not in ROW for group, name in self.table.columns)


def build_report(measurements: pd.DataFrame, layout: Layout, with_paper: bool = False) -> Report:
    """Average measurements into the cells of a layout.

    Args:
        measurements: From `collect_measurements`, of any number of runs.
        layout: The columns, and the published rows.
        with_paper: Whether to add the published rows, each below the measured row of the same method and weight, in the
            order of the paper; methods that it does not have come last. Without them, empty columns are left out.
    """
    ordering = layout.paper_rows
    if layout.has_data_columns:
        layout = replace(layout, columns={**layout_of(measurements).columns, **layout.columns})
        ordering = paper_layout("zero_shot").paper_rows  # it has all systems
    rank = {row.method: number for number, row in reversed([*enumerate(ordering)])}
    # Methods of the paper come in its order, the others after them; a stable sort keeps the order of their weights.
    ordered = measurements.sort_values("method", key=lambda m: m.map(rank).fillna(len(rank)), kind="stable")
    ordered["w"] = ordered["weight"].map("{:g}".format) if layout.has_weight_column else ""
    table = _fill_cells(ordered, layout.columns)[list(layout.shown)].reset_index().assign(is_paper=False)
    table = _add_paper_rows(table, layout) if with_paper else table.loc[:, (table != EMPTY).any()]
    is_paper = table.pop("is_paper").tolist()
    if not layout.has_weight_column:
        del table["w"]
    notes = [
        *([WEIGHT_NOTE] if layout.has_weight_column else []),
        *([CLIP_NOTE] if (measurements["weight"] == 0).any() else []),
        *([PAPER_NOTE] if any(is_paper) else []),
        *([layout.note] if layout.note and (any(is_paper) or not layout.paper_rows) else []),
        *_explain_signs(table.loc[[not is_published for is_published in is_paper]], measurements),
    ]
    table["method"] += ["°" * is_published for is_published in is_paper]
    table.columns = pd.MultiIndex.from_tuples([layout.heading(name) for name in table.columns])
    return Report(layout.title, table, is_paper, notes)


def build_report_of_protocol(measurements: pd.DataFrame, protocol: str | None) -> Report:
    """Build a report in the layout of the protocol's table, or in a general one if that has no column for the data."""
    layouts = [*([paper_layout(protocol)] if protocol is not None else []), layout_of(measurements)]
    reports = (build_report(measurements, layout) for layout in layouts)
    return next(report for report in reports if report.has_cells)


def _fill_cells(measurements: pd.DataFrame, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Return the text of the cells: a row for each method and weight, a column for each of the layout."""
    rows = measurements.set_index(ROW).index.unique()
    stats: dict[str, pd.DataFrame] = {}
    for name, column in columns.items():
        if column.metric in COSTS:
            found = _average_cost(measurements, column.metric)
        else:
            found = _average(measurements, column) if column.select else _combine(column, stats)
        stats[name] = found.reindex(rows)
    shown = {name: found.assign(metric=columns[name].metric) for name, found in stats.items()}
    cells = {name: [_show_cell(*cell) for cell in found.to_numpy()] for name, found in shown.items()}
    return pd.DataFrame(cells, index=rows)


def _average(measurements: pd.DataFrame, column: Column) -> pd.DataFrame:
    """Average what a column selects: over splits and seeds first, then over datasets and K.

    Averaging in two steps gives every dataset and K the same weight, however many splits or seeds it has.

    Returns:
        `value`, `std` (NaN unless several splits or seeds of one dataset and K) and `signs`, for each row.
    """
    for key, accepted in column.select.items():
        is_selected = measurements[key].isin(accepted)
        if key == "weight":
            own = measurements["method"].map(dict(column.weight_of))
            is_selected = is_selected.where(own.isna(), measurements["weight"] == own)
        measurements = measurements[is_selected]
    signs = measurements["partial"].notna().map({True: PARTIAL, False: ""})
    signs += measurements["is_chosen"].map({True: CHOSEN, False: ""})
    signs = signs.groupby([measurements[key] for key in ROW]).sum().map(_join_signs)
    groups = measurements.groupby([*ROW, "dataset", "num_shots"], dropna=False)[column.metric]
    # ddof=0: the paper's tables give the population standard deviation.
    groups = pd.DataFrame({"mean": groups.mean(), "std": groups.std(ddof=0), "count": groups.size()})
    groups = groups.groupby(level=ROW)
    expected = math.prod(len(column.select.get(key, [None])) for key in ("dataset", "num_shots"))
    has_std = (groups.size() == 1) & (expected == 1) & (groups["count"].first() > 1)
    std = groups["std"].first().where(has_std)
    signs = (groups.size() < expected).map({True: INCOMPLETE, False: ""}) + signs
    return pd.DataFrame({"value": groups["mean"].mean(), "std": std, "signs": signs})


def _average_cost(measurements: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the same for a cost, averaged over all runs of a row."""
    value = measurements.groupby(ROW, sort=False)[name].mean()
    return pd.DataFrame({"value": value, "std": math.nan, "signs": ""})


def _combine(column: Column, stats: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the same for the mean, or harmonic mean, of other columns; NaN where one of them is missing."""
    parts = [stats[name] for name in (*column.mean_of, *column.harmonic_mean_of)]
    values = pd.DataFrame({number: part["value"] for number, part in enumerate(parts)})
    rows = zip(*(part["signs"].fillna("") for part in parts), strict=True)
    signs = pd.Series([_join_signs(row) for row in rows], index=values.index, dtype=object)
    if column.harmonic_mean_of:
        # An accuracy of 0 has an infinite reciprocal, which makes the harmonic mean 0 as it should.
        value = 1 / (1 / values).mean(axis=1, skipna=False)
    else:
        value = values.mean(axis=1, skipna=False)
    return pd.DataFrame({"value": value, "std": math.nan, "signs": signs})


def _join_signs(texts: Iterable[str]) -> str:
    """Return every sign once, in the order of the notes."""
    found = "".join(texts)
    return "".join(sign for sign in (INCOMPLETE, PARTIAL, CHOSEN) if sign in found)


def _explain_signs(table: pd.DataFrame, measurements: pd.DataFrame) -> list[str]:
    """Return a note for each sign in the cells."""
    text = "".join(table.drop(columns="method").to_numpy(dtype=str).ravel())
    partial = measurements.dropna(subset="partial").drop_duplicates(["dataset", "part", "partial"])
    reasons = [f"{row.partial} of {row.dataset}/{row.part}" for row in partial.itertuples()]
    notes = {INCOMPLETE: INCOMPLETE_NOTE, PARTIAL: PARTIAL_NOTE + ", ".join(reasons), CHOSEN: CHOSEN_NOTE}
    return [note for sign, note in notes.items() if sign in text]


def _show_cell(value: float, std: float, signs: str, metric: str) -> str:
    """Return a fraction in percent with its signs and spread, such as `60.0*` or `60.0 ± 8.2`, or a cost."""
    if math.isnan(value):
        return EMPTY
    if metric in COSTS:
        value /= COSTS[metric]
        return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    spread = "" if math.isnan(std) else f" ± {100 * std:.1f}"
    return f"{100 * value:.1f}{signs}{spread}"


def _add_paper_rows(table: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    rows = [[row.method, row.weight, *row.metrics] for row in layout.paper_rows]
    paper = pd.DataFrame(rows, columns=[*ROW, *layout.shown]).assign(is_paper=True)
    table = pd.concat([table, paper], ignore_index=True)
    rank = {(row.method, row.weight): number for number, row in enumerate(layout.paper_rows)}
    ranks = [rank.get(key, len(rank)) for key in zip(table["method"], table["w"], strict=True)]
    # A stable sort keeps a measured row above the published one of the same method and weight.
    return table.iloc[pd.Series(ranks, dtype=int).argsort(kind="stable")]
