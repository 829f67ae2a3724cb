"""A progress bar around items that take long."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")


def with_progress(items: Iterator[Item], total: int, what: str, unit: str | None = None) -> Iterator[Item]:
    """Yield items under a progress bar on stderr, if that is a TTY.

    Args:
        items: The items.
        total: Their number.
        what: What is done to them.
        unit: What they are, to show how many are done in a second; None does not.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f} {unit}/s" if task.speed else "")

    columns = (what, BarColumn(), MofNCompleteColumn(), *([Rate()] if unit else []), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        yield from bar.track(items, total=total)
