"""Runs of a sweep as jobs of a cluster, submitted and monitored by submitit."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.sweep.plan import SweepRun
from tc_clip_pl.cli.sweep.runs import JOBS_FOLDER, find_checkpoint, fit_argv, is_finished, prepare_run

if TYPE_CHECKING:
    from submitit import AutoExecutor, Job

JOB_FILE = "job.json"
JOB_CLASSES = {"slurm": "SlurmJob", "local": "LocalJob"}
"""Classes of submitit that give access to a submitted job, by cluster."""


def run_on_cluster(runs: Sequence[SweepRun], folder: Path, cluster: str, settings: Mapping[str, str]) -> list[SweepRun]:
    """Submit runs as jobs and wait for them; runs whose job is still active are waited for, not submitted again.

    Args:
        runs: Runs without results.
        folder: Folder of the sweep.
        cluster: `slurm`, `local`, or `auto` to use whichever is available.
        settings: Job settings, as submitit's `update_parameters` takes them.

    Returns:
        The runs whose jobs ended without results; the output of a job is below `folder/jobs`.

    Raises:
        UserError: If submitit is not installed, or does not know the cluster or a setting.
    """
    executor = _build_executor(folder / JOBS_FOLDER, cluster, settings)
    jobs = {run.name: _find_active_job(executor, folder / run.name) for run in runs}
    for number, run in enumerate(runs, start=1):
        jobs[run.name] = jobs[run.name] or _submit(executor, run, folder / run.name)
        print(f"[{number}/{len(runs)}] {run.name}: job {jobs[run.name].job_id}", flush=True)
    print("Waiting for the jobs. They do not depend on this command: repeat it to wait again.", flush=True)
    for job in jobs.values():
        job.wait()
    return [run for run in runs if not is_finished(run, folder / run.name)]


def _build_executor(folder: Path, cluster: str, settings: Mapping[str, str]) -> AutoExecutor:
    import yaml

    try:
        import submitit
    except ImportError as error:
        raise UserError("--cluster needs submitit, which is not installed: pip install submitit.") from error
    try:
        executor = submitit.AutoExecutor(folder, cluster=None if cluster == "auto" else cluster)
        # Settings arrive as text; YAML turns "60" into the number that submitit expects.
        executor.update_parameters(**{key: yaml.safe_load(value) for key, value in settings.items()})
    except (ValueError, NameError, RuntimeError) as error:
        raise UserError(f"submitit rejects --cluster {cluster} with these settings: {error}.") from error
    return executor


def _submit(executor: AutoExecutor, run: SweepRun, folder: Path) -> Job[Any]:
    from submitit.helpers import CommandFunction

    folder = folder.resolve()  # the job may start in another directory
    argv = fit_argv(run, folder, find_checkpoint(run, folder))
    prepare_run(run, folder)
    job = executor.submit(CommandFunction([sys.executable, "-m", "tc_clip_pl", *argv]))
    record = {"cluster": executor.cluster, "job_id": job.job_id, "num_tasks": job.num_tasks}
    (folder / JOB_FILE).write_text(json.dumps(record), encoding="utf-8")
    return job


def _find_active_job(executor: AutoExecutor, folder: Path) -> Job[Any] | None:
    """Return the pending or running job that an earlier call submitted for a run, if any."""
    import submitit

    file = folder / JOB_FILE
    if not file.is_file():
        return None
    record = json.loads(file.read_text(encoding="utf-8"))
    if record["cluster"] not in JOB_CLASSES:
        return None
    job_class = getattr(submitit, JOB_CLASSES[record["cluster"]])
    job = job_class(executor.folder, record["job_id"], tasks=range(record["num_tasks"]))
    # force_check: without it submitit may answer from a state that is minutes old.
    return None if job.done(force_check=True) else job
