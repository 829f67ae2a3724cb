"""The folder of one run of a sweep: what it was called with, and whether it has its results."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.sweep.plan import RUN_FILE, SweepRun
from tc_clip_pl.evaluation.collect_runs import find_results, read_results

LOG_FILE = "log.txt"


def fit_words(run: SweepRun, folder: Path) -> list[str]:
    """The words of `tcclip` that start a run in its folder."""
    return ["fit", *run.words, "--output_dir", str(folder)]


def prepare_run(run: SweepRun, folder: Path) -> None:
    """Make the folder and write down what the run is."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RUN_FILE).write_text(json.dumps(run.describe(), indent=1, ensure_ascii=False), encoding="utf-8")


def is_finished(run: SweepRun, folder: Path) -> bool:
    """Whether a run has its results.

    Raises:
        UserError: If it has those of other words, which would be taken for its own.
    """
    if not any(_is_complete(read_results(path)) for path in find_results(folder)):
        return False
    before = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))["words"]
    if before != run.words:
        now, then = set(run.words) - set(before), set(before) - set(run.words)
        raise UserError(
            f"{folder} has results of other options ({' '.join(sorted(then)) or 'none'} instead of "
            f"{' '.join(sorted(now)) or 'none'}); give another --output_dir, or the options of then."
        )
    return True


def _is_complete(results: Mapping[str, Any]) -> bool:
    """Whether every pass over the test sets is there, those with ensembled weights too."""
    wanted = {1.0, (results["config"].get("ensembling") or {}).get("weight", 1.0)}
    return wanted <= {entry["ensemble_weight"] for entry in results["runs"]}
