"""The measurements of many runs in one small file, with what produced them, to be kept beside a table."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tc_clip_pl.evaluation.collect_runs import collect_measurements
from tc_clip_pl.evaluation.run_identity import FinishedRun


def record_runs(runs: Sequence[FinishedRun]) -> dict[str, Any]:
    """Return every accuracy of some runs, and the commands, machines, minutes and versions behind them.

    Returns:
        `measurements`, the rows of `collect_measurements`; `commands`, one per run, absolute paths cut to their last
        part; the distinct `machines`, `versions` and `clips` (SHA-256 of the CLIP); and the sum of the runs' `minutes`.
    """
    results = [run.results for run in runs]
    # Through pandas' own JSON, which turns NaN into null and numpy's numbers into plain ones.
    measurements = json.loads(collect_measurements(runs).to_json(orient="records"))
    return {
        "measurements": [{key: value for key, value in row.items() if value is not None} for row in measurements],
        "minutes": round(sum(each.get("minutes") or 0 for each in results), 1),
        "machines": _distinct(each.get("machine") for each in results),
        "versions": _distinct(each.get("versions") for each in results),
        "clips": _distinct((each.get("clip") or {}).get("sha256") for each in results),
        "commands": [_shorten(each.get("command") or []) for each in results],
    }


def write_record(runs: Sequence[FinishedRun], path: Path) -> None:
    """Write the record of some runs as JSON, a measurement per line.

    Raises:
        OSError: If the file cannot be written.
    """
    record = record_runs(runs)
    rows = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in record.pop("measurements"))
    rest = json.dumps(record, indent=1, ensure_ascii=False)
    path.write_text(f'{rest[:-2]},\n "measurements": [\n{rows}\n ]\n}}\n', encoding="utf-8")


def _shorten(command: Sequence[str]) -> str:
    """Return a command line without the folders of absolute paths, which say nothing on another machine."""
    return shlex.join(Path(word).name if Path(word).is_absolute() else word for word in command)


def _distinct(values: Any) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value and value not in found:
            found.append(value)
    return found
