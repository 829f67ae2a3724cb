"""The folder of one run of a sweep: how it was called, and whether it has its results."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.sweep.plan import RUN_FILE, SweepRun
from tc_clip_pl.evaluation.results import find_results, read_results

LOG_FILE = "log.txt"
"""Output of a run in sequence, in its folder."""
JOBS_FOLDER = "jobs"
"""Output of cluster jobs, in the folder of the sweep."""


def fit_argv(run: SweepRun, folder: Path, checkpoint: Path | None = None) -> list[str]:
    """Return the arguments of `tcclip` that start a run in its folder, or go on from a checkpoint of training."""
    resume = ["--ckpt_path", str(checkpoint)] if checkpoint else []
    return [run.subcommand, *run.argv, *resume, "--output_dir", str(folder)]


def find_checkpoint(run: SweepRun, folder: Path) -> Path | None:
    """Return the newest checkpoint of an interrupted run to go on from; None if it had other options, or names one."""
    record = folder / RUN_FILE
    if "--ckpt_path" in run.argv or not record.is_file():
        return None
    if json.loads(record.read_text(encoding="utf-8")).get("argv") != run.argv:
        return None
    return max(folder.rglob("checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime, default=None)


def prepare_run(run: SweepRun, folder: Path) -> None:
    """Create the folder of a run and record the run in it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RUN_FILE).write_text(json.dumps(run.describe(), indent=1, ensure_ascii=False), encoding="utf-8")


def is_finished(run: SweepRun, folder: Path) -> bool:
    """Return whether a run has its results.

    Raises:
        UserError: If the folder has results of other options, which would be mistaken for its own.
    """
    if not any(_is_complete(read_results(path)) for path in find_results(folder)):
        return False
    previous = json.loads((folder / RUN_FILE).read_text(encoding="utf-8")).get("argv", [])
    if previous != run.argv:
        now, then = set(run.argv) - set(previous), set(previous) - set(run.argv)
        raise UserError(
            f"{folder} has results of other options ({' '.join(sorted(then)) or 'none'} instead of "
            f"{' '.join(sorted(now)) or 'none'}); name another folder, or repeat the earlier options."
        )
    return True


def _is_complete(results: Mapping[str, Any]) -> bool:
    """Return whether the test has run with every ensemble weight: sequential passes may leave only the first."""
    wanted = (results["config"].get("ensembling") or {}).get("weights", [1.0])
    return set(wanted if isinstance(wanted, list) else [wanted]) <= {
        entry["ensemble_weight"] for entry in results["runs"]
    }
