"""Prints the report of `tcclip check`: a table of the lists, examples of each kind of problem, and a verdict."""

import os
from collections import Counter

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from datamodules.check.lists import CheckedList
from datamodules.check.problems import KINDS, Problem
from datamodules.check.run import CheckReport

MAX_EXAMPLES = 5


def print_report(report: CheckReport) -> None:
    """Print a report, with a few examples of each kind of problem."""
    # Soft wrapping leaves long paths in one piece, so that they can be copied. No markup: "[...]" in a file name or in
    # a decoder's message must not be taken for a style.
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(_build_table(report))
    # Below the table and not in a column of it: no path fits into what the numbers leave of 80 columns.
    for checked in report.lists:
        console.print(f"{checked.name}: {_describe_files(checked)}")
    console.print()
    for checked in report.lists:
        for kind in KINDS:
            if problems := [problem for problem in checked.problems if problem.kind == kind]:
                _print_problems(console, checked.name, problems, report.is_error(problems[0]))
    console.print(_format_verdict(report), style="bold red" if report.errors else "bold green")


def _build_table(report: CheckReport) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("List", overflow="fold")
    for column in ("Clips", "Classes", "Clips/class", "Errors", "Warnings"):
        table.add_column(column, justify="right", no_wrap=True)
    for checked in report.lists:
        num_errors = sum(map(report.is_error, checked.problems))
        counts = sorted(checked.clips_per_class()) or [0]
        extent = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
        numbers = (len(checked.split.entries), len(checked.class_names), extent, num_errors)
        table.add_row(checked.name, *map(str, numbers), str(len(checked.problems) - num_errors))
    return table


def _describe_files(checked: CheckedList) -> str:
    """Return the file that a list was read from; of several (such as one per class), their number and folder."""
    files = checked.split.files
    if not files:
        return "no file could be read"
    return str(files[0]) if len(files) == 1 else f"{len(files)} files in {os.path.commonpath(files)}"


def _print_problems(console: Console, name: str, problems: list[Problem], is_error: bool) -> None:
    """Print the problems of one kind, which all have the same severity."""
    word, style = ("Error", "red") if is_error else ("Warning", "yellow")
    console.print(f"{word} in {name}: {KINDS[problems[0].kind].title} ({len(problems)})", style=style)
    for problem in problems[:MAX_EXAMPLES]:
        console.print(f"  {problem}")
    if len(problems) > MAX_EXAMPLES:
        console.print(f"  and {len(problems) - MAX_EXAMPLES} more")


def _format_verdict(report: CheckReport) -> str:
    cached = f", {report.num_cached} of them in an earlier check" if report.num_cached else ""
    checked = f"{report.num_files} files checked at level {report.settings.level}{cached}"
    counts = Counter(KINDS[problem.kind].title for problem in report.errors)
    errors = ", ".join(f"{title} ({count})" for title, count in counts.items())
    return f"Errors: {errors}; {checked}." if errors else f"No errors: {checked}."
