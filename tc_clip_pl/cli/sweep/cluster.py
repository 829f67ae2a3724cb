"""The runs of a sweep as jobs of a cluster, which submitit submits and watches over."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.sweep.plan import SweepRun
from tc_clip_pl.cli.sweep.runs import fit_words, is_finished, prepare_run

if TYPE_CHECKING:
    from submitit import AutoExecutor, Job

JOB_FILE = "job.pkl"


def run_on_cluster(runs: Sequence[SweepRun], folder: Path, cluster: str, settings: Mapping[str, str]) -> list[SweepRun]:
    """Submit runs and wait for them; jobs of an earlier call that have not ended are waited for, not doubled.

    Args:
        runs: Those without results.
        folder: Of the sweep.
        cluster: `slurm`, `local`, or `auto` for what there is.
        settings: Of the jobs, as submitit's `update_parameters` takes them.

    Returns:
        Those that ended without results; a job's own output is below `folder/jobs`.

    Raises:
        UserError: If submitit is not installed, or does not know the cluster or a setting.
    """
    executor = _make_executor(folder / "jobs", cluster, settings)
    jobs = {run.name: _job_under_way(folder / run.name) or _submit(executor, run, folder / run.name) for run in runs}
    for number, run in enumerate(runs, start=1):
        print(f"[{number}/{len(runs)}] {run.name}: job {jobs[run.name].job_id}", flush=True)
    print("Waiting; the jobs do not need it: this command, given again, goes on from where they are.", flush=True)
    for job in jobs.values():
        job.wait()
    return [run for run in runs if not is_finished(run, folder / run.name)]


def _make_executor(folder: Path, cluster: str, settings: Mapping[str, str]) -> AutoExecutor:
    import yaml

    try:
        import submitit
    except ImportError as error:
        raise UserError("--cluster needs submitit, which is not installed: pip install 'tcclip[cluster]'.") from error
    try:
        executor = submitit.AutoExecutor(folder, cluster=None if cluster == "auto" else cluster)
        executor.update_parameters(**{key: yaml.safe_load(value) for key, value in settings.items()})
    except (ValueError, NameError, RuntimeError) as error:
        raise UserError(f"submitit refuses --cluster {cluster} with these settings: {error}.") from error
    return executor


def _submit(executor: AutoExecutor, run: SweepRun, folder: Path) -> Job[Any]:
    from submitit.helpers import CommandFunction

    prepare_run(run, folder)
    job = executor.submit(CommandFunction([sys.executable, "-m", "tc_clip_pl", *fit_words(run, folder.resolve())]))
    (folder / JOB_FILE).write_bytes(pickle.dumps(job))
    return job


def _job_under_way(folder: Path) -> Job[Any] | None:
    """The job that an earlier call submitted for a run, if it waits or runs."""
    file = folder / JOB_FILE
    if not file.is_file():
        return None
    job = pickle.loads(file.read_bytes())  # our own file
    return None if job.done(force_check=True) else job
