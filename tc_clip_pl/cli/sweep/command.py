"""`tcclip sweep`: one experiment with several values, in sequence or as cluster jobs, joined in one table."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.report import print_folders
from tc_clip_pl.cli.sweep.plan import SweepRun, read_sweep
from tc_clip_pl.cli.sweep.runs import JOBS_FOLDER, LOG_FILE, find_checkpoint, fit_argv, is_finished, prepare_run

HELP = """\
tcclip sweep --config NAME --sweep KEY=[VALUE,...] [--KEY VALUE ...]:
run an experiment with several values

  tcclip sweep --config base_to_novel_hmdb --sweep data.split=[1,2,3] \\
      --data.root data/hmdb51
  tcclip sweep --sweep ablations/table_8a --data.splits_dir splits

Runs `tcclip fit` for every combination in sequence, each in its own folder, and
joins the results in one table (`tcclip report`) with means and standard
deviations over seeds. After an interruption, repeat the command to resume: runs
with results are neither repeated nor overwritten, and the interrupted one goes
on from its last.ckpt. All other options are passed to `tcclip fit`.

  --sweep KEY=[VALUE,...]       values of a key; repeat the option to run all
                                combinations
  --sweep NAME                  a sweep file with experiments, their values, and
                                named variants (`tcclip configs`)
  --config NAME                 the experiment; replaces those of a sweep file
  --output_dir DIR              parent of the sweep's folder (outputs)
  --dry_run                     print the commands without running them
  --parallel N                  run N at a time on this machine, each on one of
                                its GPUs
  --cluster auto|slurm|local    submit the runs as jobs with submitit and wait
                                for them (pip install submitit)
  --cluster.KEY VALUE           a job setting: timeout_min, gpus_per_node,
                                tasks_per_node, slurm_partition, ..."""

Launch = Callable[[list[str], Path], int]
"""Runs `tcclip` with some arguments, writes its output to a file, and returns the exit code."""


def sweep(argv: Sequence[str], launch: Launch | None = None) -> int:
    """Run the runs of a sweep that have no results yet, and print the report.

    Args:
        argv: Arguments after `tcclip sweep`.
        launch: Starts a single run; by default in its own process.

    Returns:
        The exit code: 1 if a run failed.

    Raises:
        UserError: If the arguments are wrong.
    """
    options, rest = _parse(argv)
    plan = read_sweep(options.sweep, options.config)
    cluster_settings, rest = _split_cluster_settings(rest)
    folder, runs = Path(options.output_dir) / plan.name, plan.runs(rest)
    if len({run.name for run in runs}) < len(runs):
        raise UserError("Two runs of the sweep have the same name; list every variant and value only once.")
    if options.dry_run:
        for run in runs:
            run_folder = folder / run.name
            print(shlex.join(["tcclip", *fit_argv(run, run_folder, find_checkpoint(run, run_folder))]))
        return 0
    waiting = [run for run in runs if not is_finished(run, folder / run.name)]
    if waiting:
        from tc_clip_pl.cli.sweep.validate import check_runs  # imports Lightning, which --dry_run can do without

        check_runs(waiting)
    print(f"{len(runs)} runs in {folder}" + (f", {len(runs) - len(waiting)} already done" * (waiting != runs)))
    if options.cluster:
        from tc_clip_pl.cli.sweep.cluster import run_on_cluster

        failed = run_on_cluster(waiting, folder, options.cluster, cluster_settings)
    elif options.parallel > 1:
        from tc_clip_pl.cli.sweep.parallel import run_in_parallel

        failed = run_in_parallel(waiting, folder, options.parallel)
    else:
        failed = run_in_sequence(waiting, folder, launch or run_in_process)
    logs = {run.name: folder / (JOBS_FOLDER if options.cluster else f"{run.name}/{LOG_FILE}") for run in failed}
    return _conclude(folder, logs)


def run_in_sequence(runs: Sequence[SweepRun], folder: Path, launch: Launch) -> list[SweepRun]:
    """Run one after the other; if one fails, the others still run.

    Returns:
        The runs that failed.
    """
    failed = []
    for number, run in enumerate(runs, start=1):
        began, run_folder = time.monotonic(), folder / run.name
        checkpoint = find_checkpoint(run, run_folder)
        resumed = ", resumed" if checkpoint else ""
        print(f"[{number}/{len(runs)}] {run.name}{resumed} ... ", end="", flush=True)
        prepare_run(run, run_folder)
        launch(fit_argv(run, run_folder, checkpoint), run_folder / LOG_FILE)
        # Results rather than the exit code decide, as they do when the sweep resumes.
        if is_finished(run, run_folder):
            print(f"done in {(time.monotonic() - began) / 60:.1f} min", flush=True)
        else:
            failed.append(run)
            print("failed", flush=True)
    return failed


def run_in_process(argv: list[str], log: Path) -> int:
    """Run `tcclip` in a new process, so that every run starts with free memory and a fresh GPU context."""
    with log.open("a", encoding="utf-8") as file:
        command = [sys.executable, "-m", "tc_clip_pl", *argv]
        return subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode


def _conclude(folder: Path, logs: Mapping[str, Path]) -> int:
    """Print the report, and where to look for the failed runs, given with their logs; return the exit code."""
    print()
    # Even a sweep with failures has a table of what there is.
    if any(folder.rglob("results*.json")):
        print_folders([folder], markdown_file=folder / "report.md")
    for name, log in logs.items():
        print(f"No results from {name}; see {log}", file=sys.stderr)
    return 1 if logs else 0


def _parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser("tcclip sweep", add_help=False, allow_abbrev=False)
    parser.add_argument("--config", "-c", action="append", default=[])
    parser.add_argument("--sweep", action="append", default=[])
    parser.add_argument("--output_dir", default="outputs")
    parser.add_argument("--dry_run", action="store_true")
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--cluster")
    options, rest = parser.parse_known_args(list(argv))
    if options.parallel < 1 or (options.parallel > 1 and options.cluster):
        raise UserError("--parallel takes a number of runs from 1, and goes without --cluster.")
    return options, rest


def _split_cluster_settings(argv: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Split `--cluster.KEY VALUE` and `--cluster.KEY=VALUE`, whose keys only submitit knows, from other arguments."""
    settings, rest, remaining = {}, [], iter(argv)
    for argument in remaining:
        key, has_value, value = argument.partition("=")
        if key.startswith("--cluster."):
            settings[key.removeprefix("--cluster.")] = value if has_value else next(remaining, "")
        else:
            rest.append(argument)
    return settings, rest
