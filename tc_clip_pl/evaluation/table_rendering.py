"""Results as tables for people, on a terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING

from tc_clip_pl.evaluation.report import Report

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from tc_clip_pl.evaluation.results import EvaluationRun

MAX_RUNS_BESIDE = 2
"""More ensemble weights would not fit beside each other into 80 columns; rich would leave out columns."""
MAX_METHOD_WIDTH = 30
"""Longer names of methods wrap."""


def results_table(
    runs: Sequence[EvaluationRun], title: str = "Test accuracy (%)", partial: Mapping[str, str] = MappingProxyType({})
) -> Table:
    """Build the table of one test, with top-1 and top-5 of each test set and ensemble weight.

    Args:
        runs: Passes over the same test sets.
        title: Title above the table.
        partial: Reasons such as "16 of 3783 clips" by the name of the test set, from `find_partial_tests`.

    Returns:
        A table for `rich.print`: one or two weights side by side, more below each other, to fit a terminal.
    """
    from rich import box
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    # "16 of 3783 clips" is short enough for the column, whose heading says clips.
    partly = {name: f"{reason.removesuffix(' clips')}, partial" for name, reason in partial.items()}
    clips = {name: partly.get(name, str(metrics.num_clips)) for name, metrics in runs[0].metrics.items()}
    fill = _fill_beside if len(runs) <= MAX_RUNS_BESIDE else _fill_below
    fill(table, runs, clips)
    return table


def _fill_beside(table: Table, runs: Sequence[EvaluationRun], clips: Mapping[str, str]) -> None:
    table.add_column("\ntest set", no_wrap=True)
    table.add_column("\nclips", justify="right")
    for run in runs:
        table.add_column(f"{run_name(run)}\ntop-1", justify="right", no_wrap=True)
        table.add_column("\ntop-5", justify="right")
    for name, count in clips.items():
        table.add_row(name, count, *(cell for run in runs for cell in _accuracies(run, name)))


def _fill_below(table: Table, runs: Sequence[EvaluationRun], clips: Mapping[str, str]) -> None:
    for heading in ("test set", "weights"):
        table.add_column(heading, no_wrap=True)
    for heading in ("clips", "top-1", "top-5"):
        table.add_column(heading, justify="right")
    for name, count in clips.items():
        for number, run in enumerate(runs):
            table.add_row("" if number else name, run_name(run), count, *_accuracies(run, name))


def _accuracies(run: EvaluationRun, name: str) -> list[str]:
    """Return the cells of one test set: top-1, and top-5 where that says something."""
    metrics = run.metrics[name]
    return ["" if share is None else f"{100 * share:.2f}" for share in (metrics.top1, metrics.reported_top5)]


def run_name(run: EvaluationRun) -> str:
    """Return a short name of the tested weights."""
    # The bias and the prompting are no part of CLIP, and stay as they were trained.
    named = {0.0: "CLIP, w=0" if run.is_clip else "CLIP's encoders, w=0", 1.0: "fine-tuned"}
    return named.get(run.ensemble_weight, f"ensembled, w={run.ensemble_weight:g}")


def print_report(report: Report) -> None:
    """Print a report in the width of the terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    console.print(report_table(report, console.width))


def report_table(report: Report, width: int) -> Group:
    """Build a report for a terminal.

    Args:
        report: The report; its published rows are dimmed.
        width: Characters per line.

    Returns:
        Title, table and notes for a rich console. The table is the first of these that fits: the upright one, also
        with less space and with two lines a row; the transposed one; pieces of the upright one below each other; and
        pieces of the transposed one.
    """
    from rich.console import Console, Group
    from rich.text import Text

    console = Console(width=10 * width)  # wide enough to measure what each table would take

    def fits(table: Table) -> bool:
        return console.measure(table).maximum <= width

    upright = (_build_upright(report, *how) for how in ((False, False), (True, False), (True, True)))
    tables = next(([table] for table in upright if fits(table)), None) or list(_build_transposed(report, width))
    if len(tables) > 1:
        tables = _build_pieces(report, fits) or tables
    return Group(Text(_title(report), style="bold"), *tables, *map(Text, report.notes))


def report_markdown(report: Report) -> str:
    """Return a report as a Markdown table."""
    headings, *rows = _grid(report)
    rows = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    # One line; DataFrame.to_markdown would need tabulate as one more dependency.
    lines = [f"| {' | '.join(text.replace('|', '/') for text in row)} |" for row in rows]
    notes = ["\n" + note.replace("*", "\\*") for note in report.notes]  # a line that starts with "* " is a list item
    return "\n".join([f"**{_title(report)}**", "", *lines, *notes]) + "\n"


def _title(report: Report) -> str:
    return f"{report.title} (%)"


def _grid(report: Report) -> list[list[str]]:
    """Return the table row by row, headings first."""
    return [[" ".join(filter(None, heading)) for heading in report.table], *report.table.to_numpy().tolist()]


def _build_upright(report: Report, is_narrow: bool = False, wraps: bool = False) -> Table:
    table, previous = _empty_table(is_narrow), None
    for number, (group, name) in enumerate(report.table):
        # A group's heading stands once, over its first column.
        heading = f"{group if group != previous else ''}\n{name}"
        if number == 0:
            table.add_column(heading, max_width=MAX_METHOD_WIDTH)
        else:
            table.add_column(heading, justify="right", no_wrap=True)
        previous = group
    for row, is_paper in zip(_grid(report)[1:], report.is_paper, strict=True):
        table.add_row(*_cells(row, wraps), style="dim" if is_paper else "")
    return table


def _build_pieces(report: Report, fits: Callable[[Table], bool]) -> list[Table]:
    """Return tables of some groups of columns each, as many as fit; none if there is a group that fits nowhere."""
    names = [column for column in report.table if not column[0]]  # method and weight, which every piece repeats
    groups = [list(group) for _, group in groupby(report.table.columns.difference(names, sort=False), itemgetter(0))]
    tables: list[Table] = []
    columns: list[tuple[str, str]] = []
    for group in groups:
        wider = _build_upright(replace(report, table=report.table[[*names, *columns, *group]]))
        if columns and fits(wider):
            columns, tables[-1] = [*columns, *group], wider
        else:
            columns = group
            tables.append(_build_upright(replace(report, table=report.table[[*names, *group]])))
    return tables if all(map(fits, tables)) else []


def _build_transposed(report: Report, width: int) -> Iterator[Table]:
    """Build tables with a column per method, as many columns in each as fit."""
    columns = _grid(report)  # the first has the names of the rows
    space = width - _longest(columns[0]) - 2  # the edges
    part: list[int] = []
    for number in range(1, len(columns)):
        if part and sum(1 + _longest(columns[n], is_heading=True) for n in [*part, number]) > space:
            yield _build_columns(report, part)
            part = []
        part.append(number)
    yield _build_columns(report, part)


def _longest(column: Sequence[str], is_heading: bool = False) -> int:
    """Return the width of a column, whose heading may wrap between words and whose cells before "±"."""
    heading, *cells = column
    words = heading.split() if is_heading else [heading]
    return max(len(text) for text in [*words, *(part for cell in cells for part in cell.split(" ± "))])


def _build_columns(report: Report, numbers: Sequence[int]) -> Table:
    columns = _grid(report)
    names, *rows = zip(*(columns[n] for n in (0, *numbers)), strict=True)
    table = _empty_table(is_narrow=True)
    table.add_column(no_wrap=True, min_width=_longest(columns[0]))
    for number, method in zip(numbers, _cells(names[1:]), strict=True):
        least = _longest(columns[number], is_heading=True)
        table.add_column(method, justify="right", min_width=least, style="dim" if report.is_paper[number - 1] else "")
    for row in rows:
        table.add_row(*_cells(row, wraps=True))
    return table


def _empty_table(is_narrow: bool) -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, padding=(0, 0) if is_narrow else (0, 1), pad_edge=not is_narrow)


def _cells(texts: Iterable[str], wraps: bool = False) -> list[Text]:
    """Return texts as cells; rich would read the brackets of a plain string, as in "[CLS]", as markup."""
    from rich.text import Text

    return [Text(text.replace(" ± ", "\n±") if wraps else text) for text in texts]
