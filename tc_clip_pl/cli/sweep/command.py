"""`tcclip sweep`: one experiment with several values, run after run or as jobs of a cluster, joined in one table."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.report import print_folders
from tc_clip_pl.cli.sweep.plan import SweepRun, read_sweep
from tc_clip_pl.cli.sweep.runs import LOG_FILE, fit_words, is_finished, prepare_run

HELP = """\
tcclip sweep --config NAME --sweep KEY=[VALUE,...] [--KEY VALUE ...]: run an experiment with several values

  tcclip sweep --config base_to_novel_hmdb --sweep data.split=[1,2,3] --data.root data/hmdb51
  tcclip sweep --sweep ablations/table_8a --data.splits_dir splits

Runs `tcclip fit` for every combination, each in a folder of its own, one after the other, and joins the results in one
table (`tcclip report`): means and standard deviations over seeds. The same command goes on after an interruption: runs
with results are neither repeated nor overwritten. Other options are those of `tcclip fit`.

  --sweep KEY=[VALUE,...]    values of a key; given several times, all combinations
  --sweep NAME               a sweep file: its experiments, their values, and named variants (`tcclip configs`)
  --config NAME              the experiment; with a sweep file, this one instead of the file's own
  --output_dir DIR           where the sweep makes its folder (outputs)
  --dry_run                  only print the commands
  --cluster auto|slurm|local    submit the runs as jobs, by submitit (pip install tcclip[cluster]), and wait for them
  --cluster.KEY VALUE           a setting of the jobs: timeout_min, gpus_per_node, tasks_per_node, slurm_partition..."""

Launch = Callable[[list[str], Path], int]
"""Runs `tcclip` with these words, writing what it says to a file, and returns the exit code."""


def sweep(words: Sequence[str], launch: Launch | None = None) -> int:
    """Run all of a sweep that has no results yet, and print the report.

    Args:
        words: Those behind `tcclip sweep`.
        launch: How a single run is started; in a process of its own by default.

    Returns:
        The exit code: 1 if a run failed.

    Raises:
        UserError: If the words are wrong.
    """
    options, rest = _parse(words)
    plan = read_sweep(options.sweep, options.config)
    cluster_settings, rest = _take_cluster_settings(rest)
    folder, runs = Path(options.output_dir) / plan.name, plan.runs(rest)
    if len({run.name for run in runs}) < len(runs):
        raise UserError("Two runs of the sweep have the same name; give every variant and value once.")
    if options.dry_run:
        print("\n".join(shlex.join(["tcclip", *fit_words(run, folder / run.name)]) for run in runs))
        return 0
    waiting = [run for run in runs if not is_finished(run, folder / run.name)]
    print(f"{len(runs)} runs in {folder}" + (f", {len(runs) - len(waiting)} of them done before" * (waiting != runs)))
    if options.cluster:
        from tc_clip_pl.cli.sweep.cluster import run_on_cluster

        failed = run_on_cluster(waiting, folder, options.cluster, cluster_settings)
    else:
        failed = run_in_sequence(waiting, folder, launch or run_in_process)
    return _conclude(failed, folder)


def run_in_sequence(runs: Sequence[SweepRun], folder: Path, launch: Launch) -> list[SweepRun]:
    """Run one after the other; a failure does not keep the others from running.

    Returns:
        Those that failed.
    """
    failed = []
    for number, run in enumerate(runs, start=1):
        print(f"[{number}/{len(runs)}] {run.name} ... ", end="", flush=True)
        began, run_folder = time.monotonic(), folder / run.name
        prepare_run(run, run_folder)
        launch(fit_words(run, run_folder), run_folder / LOG_FILE)
        if is_finished(run, run_folder):
            print(f"done in {(time.monotonic() - began) / 60:.1f} min", flush=True)
        else:
            failed.append(run)
            print("failed", flush=True)
    return failed


def run_in_process(words: list[str], log: Path) -> int:
    """Run `tcclip` in a process of its own, with its own memory and its own GPU context."""
    with log.open("a", encoding="utf-8") as file:
        command = [sys.executable, "-m", "tc_clip_pl", *words]
        return subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode


def _conclude(failed: Sequence[SweepRun], folder: Path) -> int:
    print()
    if any(folder.rglob("results*.json")):
        print_folders([folder], markdown_file=folder / "report.md")
    for run in failed:
        print(f"No results: {run.name}; see {folder / run.name / LOG_FILE}", file=sys.stderr)
    return 1 if failed else 0


def _parse(words: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser("tcclip sweep", add_help=False, allow_abbrev=False)
    parser.add_argument("--config", "-c", action="append", default=[])
    parser.add_argument("--sweep", action="append", default=[])
    parser.add_argument("--output_dir", default="outputs")
    parser.add_argument("--dry_run", action="store_true")
    parser.add_argument("--cluster")
    return parser.parse_known_args(list(words))


def _take_cluster_settings(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    settings, rest, remaining = {}, [], iter(words)
    for word in remaining:
        key, has_value, value = word.partition("=")
        if key.startswith("--cluster."):
            settings[key.removeprefix("--cluster.")] = value if has_value else next(remaining, "")
        else:
            rest.append(word)
    return settings, rest
