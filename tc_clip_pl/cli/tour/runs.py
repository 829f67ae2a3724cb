"""The two trainings of the demo, each run only where its results are missing."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.experiment import run_experiment
from tc_clip_pl.cli.sweep.plan import SweepRun
from tc_clip_pl.cli.sweep.runs import find_checkpoint, fit_argv, is_finished, prepare_run
from tc_clip_pl.evaluation.results import find_results, read_results

FRAME_WISE, TC_CLIP = "frame-wise", "TC-CLIP"
CONFIGS = {
    FRAME_WISE: ["--config", "demo.yaml", "--config", "models/vifi_clip.yaml"],
    TC_CLIP: ["--config", "demo.yaml"],
}
"""Method -> what makes it; the same data, steps and learning rate."""


@dataclass(frozen=True)
class DemoRun:
    """A finished run: its results, and the checkpoint of its last epoch."""

    results: dict[str, Any]
    checkpoint: Path


def run_missing(folder: Path) -> dict[str, DemoRun]:
    """Train and test every method that has no results yet; an interrupted training goes on from its checkpoint.

    Args:
        folder: The folder of the demo, with its `data`.

    Returns:
        The runs by method.

    Raises:
        UserError: There are results of another version of the demo, or a checkpoint is gone.
    """
    return {method: _run(method, folder) for method in CONFIGS}


def _run(method: str, folder: Path) -> DemoRun:
    target = folder / "runs" / method.lower().replace("-", "_")
    run = SweepRun(target.name, CONFIGS[method], method, {}, None)
    if is_finished(run, target):
        print(f"{target} exists and is kept.")
    else:
        command = [*fit_argv(run, target, find_checkpoint(run, target)), "--data.root", str(folder / "data")]
        print(f"\n$ tcclip {shlex.join(command)}", flush=True)
        prepare_run(run, target)
        run_experiment(command)
    newest = max(find_results(target), key=lambda path: path.stat().st_mtime)
    checkpoint = newest.parent / "checkpoints" / "last.ckpt"
    if not checkpoint.is_file():
        raise UserError(f"There is no {checkpoint}, which the report needs; remove {target} to train again.")
    return DemoRun(read_results(newest), checkpoint)
