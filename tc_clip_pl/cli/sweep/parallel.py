"""Several runs of a sweep at a time on this machine, dealt to its GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tc_clip_pl.cli.sweep.plan import SweepRun
from tc_clip_pl.cli.sweep.runs import LOG_FILE, fit_argv, is_finished, prepare_run


def run_in_parallel(runs: Sequence[SweepRun], folder: Path, jobs: int) -> list[SweepRun]:
    """Run `jobs` runs at a time, each in its own process; if one fails, the others still run.

    Returns:
        The runs that failed.
    """
    places: SimpleQueue[Mapping[str, str]] = SimpleQueue()
    for environment in share_machine(jobs):
        places.put(environment)

    def run_one(run: SweepRun) -> bool:
        environment = places.get()
        try:
            prepare_run(run, folder / run.name)
            _launch(fit_argv(run, folder / run.name), folder / run.name / LOG_FILE, environment)
        finally:
            places.put(environment)
        return is_finished(run, folder / run.name)

    began = time.monotonic()
    failed = []
    with ThreadPoolExecutor(jobs) as pool:
        for number, (run, is_done) in enumerate(zip(runs, pool.map(run_one, runs), strict=True), start=1):
            minutes = (time.monotonic() - began) / 60
            print(f"[{number}/{len(runs)}] {run.name} {'done' if is_done else 'failed'}, {minutes:.1f} min", flush=True)
            failed += [] if is_done else [run]
    return failed


def share_machine(jobs: int) -> list[Mapping[str, str]]:
    """Return the environment variables of each of `jobs` processes: one GPU, and an equal share of the cores."""
    threads = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))}
    gpus = _visible_gpus()
    return [{**threads, **({"CUDA_VISIBLE_DEVICES": gpus[job % len(gpus)]} if gpus else {})} for job in range(jobs)]


def _visible_gpus() -> list[str]:
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [gpu for gpu in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if gpu]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def _launch(argv: list[str], log: Path, environment: Mapping[str, str]) -> None:
    with log.open("a", encoding="utf-8") as file:
        command = [sys.executable, "-m", "tc_clip_pl", *argv]
        subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False, env={**os.environ, **environment})
