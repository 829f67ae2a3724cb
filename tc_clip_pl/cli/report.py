"""`tcclip report`: the results of any number of runs in one table."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.sweep.plan import RUN_FILE

if TYPE_CHECKING:
    from tc_clip_pl.evaluation.report import Report
    from tc_clip_pl.evaluation.run_identity import FinishedRun

HELP = """\
tcclip report [DIR ...] [--paper TABLE]:
join the results of several runs in one table

  tcclip report outputs/few_shot_hmdb outputs/few_shot_ucf --paper few_shot
  tcclip report outputs/table_8a
  tcclip report --paper zero_shot

Reads every results.json below the directories. Runs of the same method share a
row: seeds and splits are averaged (mean ± population standard deviation), base
and novel get their harmonic mean (HM), and each dataset and K gets its own
columns. Methods are named by their variant in a sweep, or by the settings that
differ between the runs, such as views or epochs. Tests of only some clips are
marked as partial.

  --paper TABLE              use the layout of this table of the paper and add
                             its published rows: zero_shot, few_shot,
                             base_to_novel, fully_supervised, temporal,
                             few_shot_from_k400, base_to_novel_from_k400,
                             zero_shot_l14, table_1, table_6, table_7, table_8a,
                             ... table_14 (sweeps of `ablations/` select their
                             table themselves), or compare, which shows the cost
                             of any runs; runs of another protocol are left out;
                             without DIR, the published rows alone
  --format table|markdown    output format (table)
  --output FILE              also write the table to a Markdown file
  --json FILE                also write every measurement, with commands,
                             machines, minutes and versions"""


def report(argv: Sequence[str]) -> None:
    """Print the table of some directories.

    Args:
        argv: Arguments after `tcclip report`.

    Raises:
        UserError: If nothing to print is named, a directory or its results are missing, or no run has the protocol of
            the table.
        ValueError: If a results file is unreadable, or the paper has no such table.
    """
    parser = argparse.ArgumentParser("tcclip report", add_help=False, allow_abbrev=False)
    parser.add_argument("dir", type=Path, nargs="*")
    parser.add_argument("--paper")
    parser.add_argument("--format", choices=("table", "markdown"), default="table")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(list(argv))
    if not options.dir and (options.paper is None or options.json):
        raise UserError("Give output folders of `tcclip fit`, `test` or `sweep`, or just the name of a --paper table.")
    print_folders(options.dir, options.paper, options.output, options.format == "markdown")
    if options.json is not None:
        from tc_clip_pl.evaluation.record import write_record

        write_record(list(_read_runs(options.dir)[0].values()), options.json)


def print_folders(
    folders: Sequence[Path], paper: str | None = None, markdown_file: Path | None = None, as_markdown: bool = False
) -> None:
    """Print the report of all results below some folders.

    Args:
        folders: Parent folders of results.json files, or the files themselves; none prints the published rows.
        paper: The paper's table to compare with; by default the one that all runs were swept for.
        markdown_file: A Markdown file to write in addition.
        as_markdown: Whether to print Markdown.

    Raises:
        UserError: If a folder or its results are missing.
        ValueError: If a results file is unreadable, or the paper has no such table.
    """
    from tc_clip_pl.evaluation.table_rendering import print_report, report_markdown

    result = report_folders(folders, paper)
    if markdown_file is not None:
        markdown_file.write_text(report_markdown(result), encoding="utf-8")
    if as_markdown:
        print(report_markdown(result), end="")
    else:
        print_report(result)


def report_folders(folders: Sequence[Path], paper: str | None = None) -> Report:
    """Build the report of all results below some folders; see `print_folders`."""
    # pandas, which these need, takes half a second to import: too long for `tcclip --help`, which reads HELP above.
    from tc_clip_pl.evaluation.collect_runs import collect_measurements
    from tc_clip_pl.evaluation.report import build_report, build_report_of_protocol
    from tc_clip_pl.evaluation.table_layout import paper_layout

    if not folders:
        return build_report(collect_measurements([]), paper_layout(paper), with_paper=True)
    runs, tables = _read_runs(folders)
    table = paper or _common(list(tables.values()))
    if table is None:
        protocol = _common([run.config.get("protocol") for run in runs.values()])
        report = build_report_of_protocol(collect_measurements(list(runs.values())), protocol)
        return replace(report, notes=[*report.notes, *_compare_versions(list(runs.values()))])
    layout = paper_layout(table)
    # A sweep says itself which table its runs are for.
    swept = {path for path in runs if tables[path] == table}
    others = {path: run for path, run in runs.items() if path not in swept and not layout.takes(run.protocol)}
    kept = [run for path, run in runs.items() if path not in others]
    if not kept:
        found = ", ".join(sorted({run.protocol for run in others.values()}))
        raise UserError(
            f"The table {table} has no place for these runs, whose protocol is {found}; choose its --paper."
        )
    report = build_report(collect_measurements(kept), layout, with_paper=True)
    return replace(report, notes=[*report.notes, *_name_left_out(others), *_compare_versions(kept)])


def _read_runs(folders: Sequence[Path]) -> tuple[dict[Path, FinishedRun], dict[Path, str | None]]:
    """Return all runs below some folders, and the table that each was swept for, if any, by the results file."""
    from tc_clip_pl.evaluation.results import read_results
    from tc_clip_pl.evaluation.run_identity import FinishedRun

    descriptions = {path: _read_description(path) for path in _find_all_results(folders)}
    runs = {
        path: FinishedRun(read_results(path), description.get("method"), description.get("settings", {}))
        for path, description in descriptions.items()
    }
    return runs, {path: description.get("table") for path, description in descriptions.items()}


def _name_left_out(runs: Mapping[Path, FinishedRun]) -> list[str]:
    """Return a note that names the runs of another protocol, if there are any."""
    named = [f"{path.parent.name}/{path.name} ({run.protocol})" for path, run in runs.items()]
    return [f"Left out, of another protocol: {', '.join(named)}"] if named else []


def _compare_versions(runs: Sequence[FinishedRun]) -> list[str]:
    """Return a note for each package whose version differs between the runs."""
    found: dict[str, set[str]] = {}
    for run in runs:
        for package, version in (run.results.get("versions") or {}).items():
            found.setdefault(package, set()).add(version)
    return [f"{name} differs: {', '.join(sorted(each))}" for name, each in found.items() if len(each) > 1]


def _find_all_results(folders: Sequence[Path]) -> list[Path]:
    from tc_clip_pl.evaluation.results import find_results

    if missing := [str(folder) for folder in folders if not folder.exists()]:
        raise UserError(f"There is no {missing[0]}; give the output folders of `tcclip fit`, `test` or `sweep`.")
    # Folders may overlap: a file counts once.
    paths = dict.fromkeys(path.resolve() for folder in folders for path in find_results(folder))
    if not paths:
        raise UserError(f"There is no results.json below {', '.join(map(str, folders))}; `tcclip test` writes one.")
    return list(paths)


def _common(values: Sequence[str | None]) -> str | None:
    """Return the value that all have in common, if any."""
    return values[0] if len(set(values)) == 1 else None


def _read_description(path: Path) -> dict[str, Any]:
    """Return what a sweep recorded about the run of a results file; empty for a run outside a sweep."""
    files = (folder / RUN_FILE for folder in path.parents)
    found = next((file for file in files if file.is_file()), None)
    return json.loads(found.read_text(encoding="utf-8")) if found else {}
