"""What a benchmark leaves behind: its rows, with the machine, the versions and the command behind them."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.progress import with_progress

if TYPE_CHECKING:
    import torch

    from tc_clip_pl.benchmarks.rows import Row


def describe_run(what: str, argv: Sequence[str], device: torch.device) -> dict[str, Any]:
    """Return everything about a run but its rows and peak.

    Args:
        what: Name of the benchmark.
        argv: Arguments after `tcclip benchmark`.
        device: Where it runs.
    """
    import torch

    from tc_clip_pl.evaluation.results import installed_versions

    is_cuda = device.type == "cuda"
    return {
        "benchmark": what,
        "command": shlex.join(["tcclip", "benchmark", *argv]),
        "device": torch.cuda.get_device_name(device) if is_cuda else _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "precision": "bf16 autocast" if is_cuda else "float32",
        "versions": installed_versions(),
    }


def collect(rows: Iterable[Row], total: int, record: dict[str, Any], output: str | None) -> dict[str, Any]:
    """Add rows to a record as they come, and write it after each.

    Args:
        rows: The rows.
        total: How many there will be.
        record: From `describe_run`, with `peak`.
        output: File to write; None writes none.

    Raises:
        UserError: It cannot be written.
    """
    from tc_clip_pl.benchmarks.rows import as_records

    record["rows"], measured = [], []
    if output:
        write_record(record, Path(output).expanduser())  # a wrong name is noticed before hours of measurements
    for row in with_progress(iter(rows), total, f"benchmark {record['benchmark']}"):
        measured.append(row)
        record["rows"] = as_records(measured, (record["peak"] or {}).get("tflops"))
        if not sys.stderr.isatty():
            print(one_line(record["rows"][-1]), file=sys.stderr, flush=True)
        if output:
            write_record(record, Path(output).expanduser())
    return record


def one_line(row: dict[str, Any]) -> str:
    """Return a measured row as one line."""
    names = ("kernels", "batch_size", "num_frames", "num_classes", "pass")
    settings = [f"{name} {row[name]}" for name in names if name in row]
    result = row["note"] or (f"{row['median_ms']:.4g} ms" if row["median_ms"] else f"{row['rate']:.3g} videos/s")
    return f"{', '.join([row['name'], *settings])}: {result}"


def write_record(record: dict[str, Any], path: Path) -> None:
    """Write a record, whole or not at all.

    Raises:
        UserError: It cannot be written.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise UserError(f"--output {path} cannot be written ({error.strerror}); choose another file.") from error


def _cpu_name() -> str:
    """Return the CPU's name as Linux knows it, or the kind of processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
