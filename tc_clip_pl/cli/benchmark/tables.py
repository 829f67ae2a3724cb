"""Draws the table of a benchmark: what differs between rows in columns, what does not in a line above."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

Record = Mapping[str, Any]
SETTINGS = {"batch_size": "batch", "num_frames": "frames", "num_classes": "classes", "pass": "pass"}
"""Setting -> its heading."""
COLUMNS: dict[str, tuple[str | int, Callable[[Record], float | None]]] = {
    "ms": (4, lambda row: row["median_ms"]),
    "±%": ("{:.1f}", lambda row: spread_percent(row)),
    "p95 ms": (4, lambda row: row["p95_ms"]),
    "videos/s": (3, lambda row: row["rate"]),
    "GiB": ("{:.1f}", lambda row: row["memory_gib"]),
    "TFLOP/s": (3, lambda row: row["tflops"]),
    "% peak": ("{:.0f}", lambda row: row["peak_share"] and 100 * row["peak_share"]),
    "wait %": ("{:.1f}", lambda row: row.get("wait_share") and 100 * row["wait_share"]),
    "1st batch s": ("{:.2f}", lambda row: row.get("first_batch_s")),
    "ratio": ("{:.2f}", lambda row: row["ratio"]),
    "1st s": ("{:.1f}", lambda row: row["first_s"]),
}
"""Heading -> format, or digits, and value. A column without any value is left out."""
LEFT_OUT = {"latency": {"TFLOP/s", "% peak", "videos/s"}}
ONLY_IN = {"p95 ms": {"latency"}}
"""Benchmark -> headings that say nothing there; heading -> the only benchmarks that it is for."""
NOTES = {
    "±%": "half the distance of the quartiles",
    "% peak": "of the matrix product above",
    "ratio": "speed over that of HF CLIP",
    "wait %": "share of an epoch, behind its first batch, in which a step waits",
    "1st s": "the first call, with compilation",
}
OWN_NOTES = {
    "attention": {"ratio": "speed over that of attention in the frame alone"},
    "data": {"ms": "a clip, in this process; the loader has its workers"},
}
"""Heading -> what it means, in all benchmarks or in one."""


def spread_percent(row: Record) -> float | None:
    """Return half the distance of the quartiles in percent of the median."""
    return row["median_ms"] and 50 * (row["high_ms"] - row["low_ms"]) / row["median_ms"]


def layout(record: Record) -> tuple[list[str], list[list[str]]]:
    """Return headings and cells of a benchmark's table."""
    rows = record["rows"]
    settings = [name for name in SETTINGS if len({row[name] for row in rows if name in row}) > 1]
    values = {
        heading: [read(row) for row in rows]
        for heading, (_, read) in COLUMNS.items()
        if heading not in LEFT_OUT.get(record["benchmark"], ())
        and record["benchmark"] in ONLY_IN.get(heading, {record["benchmark"]})
    }
    if not any(row.get("kernels") == "compiled" for row in rows):
        values.pop("1st s")
    values = {heading: column for heading, column in values.items() if any(value is not None for value in column)}
    headings = ["", *(SETTINGS[name] for name in settings), *values]
    cells = []
    for number, row in enumerate(rows):
        measured = [_format(COLUMNS[heading][0], column[number]) for heading, column in values.items()]
        if row["note"]:
            measured = [row["note"], *[""] * (len(measured) - 1)]
        cells.append([_label(row), *(str(row.get(name, "")) for name in settings), *measured])
    return headings, cells


def describe(record: Record) -> list[str]:
    """Return the lines above a table: what all rows share, and the machine."""
    rows, peak = record["rows"], record["peak"]
    shared = {name: {row[name] for row in rows if name in row} for name in SETTINGS}
    constant = [f"{SETTINGS[name]} {next(iter(found))}" for name, found in shared.items() if len(found) == 1]
    machine = (
        f"{record['device']}, {record['cores']} cores, threads {record['threads']}, torch {record['versions']['torch']}"
    )
    recomputes = ["activations recomputed"] if record.get("recomputes") else []
    lines = [", ".join([record["model"], record["precision"], *recomputes, *constant]), machine]
    if data := record.get("data"):
        lines[0] = f"{data['name']}, {data['clips']} clips of {data['num_frames']} frames, {data['image_size']} pixels"
        lines[0] += f", batch {data['batch_size']}, {data['num_workers']} workers, decoder {data['decoder']}"
    lines[0] = f"{record['benchmark']}: {lines[0]}"
    if peak:
        lines.append(f"{peak['size']} x {peak['size']} {peak['dtype']} matrix product: {peak['tflops']:.3g} TFLOP/s")
    return lines


def rich_table(record: Record) -> RenderableType:
    """Draw a table for a terminal."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    headings, cells = layout(record)
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for row in cells:
        table.add_row(*row)
    known = NOTES | OWN_NOTES.get(record["benchmark"], {})
    notes = [f"{heading}: {text}" for heading, text in known.items() if heading in headings]
    return Group(*map(Text, describe(record)), table, *map(Text, notes))


def markdown_table(record: Record) -> str:
    """Draw a table for a Markdown file."""
    headings, cells = layout(record)
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fill_tables(text: str, folder: Path) -> str:
    """Replace the Markdown tables that stand under `<!-- FILE.json -->` by those of the files.

    Args:
        text: Of a Markdown file.
        folder: What the names of the files start from.
    """

    def fill(found: re.Match) -> str:
        record = json.loads((folder / found[1]).read_text(encoding="utf-8"))
        return f"<!-- {found[1]} -->\n{markdown_table(record)}\n"

    return re.sub(r"<!-- (\S+\.json) -->\n(?:\|.*\n)*", fill, text)


def _label(row: Record) -> str:
    """Return the name of a row, with its kernels if they were chosen."""
    return row["name"] if row.get("kernels", "auto") == "auto" else f"{row['name']}, {row['kernels']}"


def _format(pattern: str | int, value: float | None) -> str:
    """Return a number by its pattern, or with so many digits at least: 0.00236, 42.7, 1366."""
    if value is None:
        return "-"
    if isinstance(pattern, str):
        return pattern.format(value)
    return f"{value:.0f}" if value >= 10**pattern else f"{value:.{pattern}g}"
