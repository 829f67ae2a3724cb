"""Results as tables for people, on the screen and in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tc_clip_pl.evaluation.report import Report, Row
from tc_clip_pl.evaluation.results import TestRun

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

MIN_WIDTH = 100
"""Characters in a line of a report, at least."""


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


def print_report(report: Report) -> None:
    """Print a report; on a narrow terminal its lines wrap rather than lose words."""
    from rich.console import Console

    width = max(Console().width, MIN_WIDTH)
    Console(width=width, highlight=False).print(report_table(report, width))


def report_table(report: Report, width: int = MIN_WIDTH) -> Group:
    """Lay out a report: in the paper's layout, set close where it must be, or else on its side.

    Args:
        report: What to show; the paper's rows are dimmed.
        width: Characters in a line.

    Returns:
        Title, notes and the first of these tables that fits, for a rich console.
    """
    from rich.console import Console, Group
    from rich.text import Text

    console = Console(width=10 * width)
    tables = (_upright(report), _upright(report, is_close=True), _sideways(report))
    table = next((table for table in tables if console.measure(table).maximum <= width), tables[-1])
    return Group(Text(f"{report.title}, per cent", style="bold"), table, *map(Text, report.notes))


def _empty_table(is_close: bool = False) -> Table:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, padding=(0, 0) if is_close else (0, 1), pad_edge=not is_close)


def _upright(report: Report, is_close: bool = False) -> Table:
    table = _empty_table(is_close)
    table.add_column("\nmethod", no_wrap=True)
    if report.has_weight_column:
        table.add_column("\nw", justify="right")
    group = None
    for heading in report.headings:
        own = heading[0] if heading[0] != group else ""
        table.add_column(f"{own}\n{heading[1]}", justify="right", no_wrap=True)
        group = heading[0]
    for row in report.rows:
        cells = [cell.replace(" ± ", "\n±") if is_close else cell for cell in row.cells]
        table.add_row(*_plain(_method(row), *_weight(report, row), *cells), style="dim" if row.is_paper else "")
    return table


def _sideways(report: Report) -> Table:
    table = _empty_table(is_close=True)
    table.add_column("", no_wrap=True)
    for row in report.rows:
        weight = f"\nw={row.weight:g}" if row.weight is not None else ""
        name = _plain(f"{_method(row)}{weight}")[0]
        table.add_column(name, justify="right", style="dim" if row.is_paper else "")
    for number, heading in enumerate(report.headings):
        table.add_row(
            " ".join(filter(None, heading)), *(row.cells[number].replace(" ± ", "\n±") for row in report.rows)
        )
    return table


def report_markdown(report: Report) -> str:
    """The same as a Markdown table."""
    weight = ["w"] if report.has_weight_column else []
    headings = ["method", *weight, *(" ".join(filter(None, heading)) for heading in report.headings)]
    lines = [f"**{report.title}, per cent**", "", _markdown_line(headings)]
    lines.append(_markdown_line(["---", *["---:"] * (len(headings) - 1)]))
    lines += [_markdown_line([_method(row), *_weight(report, row), *row.cells]) for row in report.rows]
    return "\n".join([*lines, *(f"\n{note}" for note in report.notes)]) + "\n"


def _method(row: Row) -> str:
    return f"{row.method}°" if row.is_paper else row.method


def _plain(*words: str) -> list[Text]:
    """Words whose brackets are no markup."""
    from rich.text import Text

    return [Text(word) for word in words]


def _weight(report: Report, row: Row) -> list[str]:
    if not report.has_weight_column:
        return []
    return ["" if row.weight is None else f"{row.weight:g}"]


def _markdown_line(words: Iterable[str]) -> str:
    return f"| {' | '.join(word.replace('|', '/') for word in words)} |"
