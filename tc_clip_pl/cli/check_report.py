"""What `tcclip check` prints: a table of the lists, examples of each kind of problem, and a verdict."""

from collections import Counter

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from datamodules.check.lists import CheckedList
from datamodules.check.problems import KINDS, Problem
from datamodules.check.run import CheckReport

EXAMPLES = 5


def print_report(report: CheckReport) -> None:
    """Print a report, with a few examples of each kind of problem."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(_table(report))
    for checked in report.lists:
        for kind in KINDS:
            if problems := [problem for problem in checked.problems if problem.kind == kind]:
                _print_problems(console, checked.name, problems, report.settings.skips)
    console.print(_verdict(report), style="bold red" if report.has_trouble else "bold green")


def _table(report: CheckReport) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("List", "File"):
        table.add_column(column, overflow="fold")
    for column in ("Clips", "Classes", "Per class", "Trouble", "Warnings"):
        table.add_column(column, justify="right")
    for checked in report.lists:
        trouble = sum(problem.is_trouble(report.settings.skips) for problem in checked.problems)
        counts = sorted(checked.clips_per_class()) or [0]
        extent = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
        numbers = (len(checked.split.entries), len(checked.class_names), extent, trouble)
        table.add_row(checked.name, _files(checked), *map(str, numbers), str(len(checked.problems) - trouble))
    return table


def _files(checked: CheckedList) -> str:
    """The file of a list, or the first of several."""
    names = [file.name for file in checked.split.files]
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else "".join(names)


def _print_problems(console: Console, name: str, problems: list[Problem], skips: bool) -> None:
    is_trouble = problems[0].is_trouble(skips)
    word, style = ("Trouble", "red") if is_trouble else ("Warning", "yellow")
    console.print(f"{word} in {name}: {KINDS[problems[0].kind].words} ({len(problems)})", style=style)
    for problem in problems[:EXAMPLES]:
        console.print(f"  {problem}")
    if len(problems) > EXAMPLES:
        console.print(f"  and {len(problems) - EXAMPLES} more")


def _verdict(report: CheckReport) -> str:
    known = f", {report.num_remembered} of them known from an earlier check" if report.num_remembered else ""
    checked = f"{report.num_files} files checked (level {report.settings.level}{known})"
    counts = Counter(
        KINDS[problem.kind].words
        for checked in report.lists
        for problem in checked.problems
        if problem.is_trouble(report.settings.skips)
    )
    found = ", ".join(f"{words} ({count})" for words, count in counts.items())
    return f"Trouble: {found}; {checked}." if found else f"No trouble: {checked}."
