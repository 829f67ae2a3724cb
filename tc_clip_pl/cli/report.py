"""`tcclip report`: the results of any number of runs in one table."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.sweep.plan import RUN_FILE
from tc_clip_pl.evaluation.collect_runs import FinishedRun, find_results, measure, read_results
from tc_clip_pl.evaluation.paper_tables import paper_layout
from tc_clip_pl.evaluation.report import Report, build_report, build_report_of_protocol
from tc_clip_pl.evaluation.tables import print_report, report_markdown

HELP = """\
tcclip report DIR ... [--paper TABLE]: join the results of several runs in one table

  tcclip report outputs/few_shot_hmdb outputs/few_shot_ucf --paper few_shot
  tcclip report outputs/table_8a

Takes every results.json below the directories. Runs of one method stand in one row: seeds and draws are averaged
(mean ± population standard deviation), base and novel get their harmonic mean, datasets and shots have columns.
Methods are called by their variant in a sweep, or by the settings that differ between the runs.

  --paper TABLE               lay out as this table of the paper, its figures beside: zero_shot, few_shot,
                              base_to_novel, fully_supervised, temporal, few_shot_from_k400,
                              base_to_novel_from_k400, table_1, table_6, table_7, table_8a, ... table_14
                              (a sweep of `ablations/` needs no telling)
  --format table|markdown     how to print (table)
  --output FILE               write the Markdown table to a file as well"""


def report(words: Sequence[str]) -> None:
    """Print the table of some directories.

    Args:
        words: Those behind `tcclip report`.

    Raises:
        UserError: If there are no results.
        ValueError: If a file is none, or the paper has no such table.
    """
    parser = argparse.ArgumentParser("tcclip report", add_help=False, allow_abbrev=False)
    parser.add_argument("dir", type=Path, nargs="+")
    parser.add_argument("--paper")
    parser.add_argument("--format", choices=("table", "markdown"), default="table")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(list(words))
    print_folders(options.dir, options.paper, options.output, options.format == "markdown")


def print_folders(
    folders: Sequence[Path], paper: str | None = None, markdown_file: Path | None = None, as_markdown: bool = False
) -> None:
    """Print the report of all results below some folders.

    Args:
        folders: Anywhere above results.json files, or those files.
        paper: The paper's table whose figures stand beside; by default that which all runs were swept for.
        markdown_file: Where to write it as Markdown too.
        as_markdown: Whether to print it so.

    Raises:
        UserError: If there are no results.
        ValueError: If a file is none, or the paper has no such table.
    """
    result = report_folders(folders, paper)
    markdown = report_markdown(result)
    if markdown_file is not None:
        markdown_file.write_text(markdown, encoding="utf-8")
    if as_markdown:
        print(markdown, end="")
    else:
        print_report(result)


def report_folders(folders: Sequence[Path], paper: str | None = None) -> Report:
    """Join all results below some folders; see `print_folders`."""
    if missing := [str(folder) for folder in folders if not folder.exists()]:
        raise UserError(f"There is no {missing[0]}; give the output folders of `tcclip fit`, `test` or `sweep`.")
    paths = dict.fromkeys(path.resolve() for folder in folders for path in find_results(folder))
    if not paths:
        raise UserError(f"There is no results.json below {', '.join(map(str, folders))}; `tcclip test` writes one.")
    descriptions = [_describe(path) for path in paths]
    contents = [read_results(path) for path in paths]
    runs = [
        FinishedRun(results, description.get("method"), description.get("settings", {}))
        for results, description in zip(contents, descriptions, strict=True)
    ]
    measurements = measure(runs)
    table = paper or _common([description.get("table") for description in descriptions])
    if table is not None:
        return build_report(measurements, paper_layout(table), with_paper=True)
    return build_report_of_protocol(measurements, _common([results["config"].get("protocol") for results in contents]))


def _common(values: Sequence[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


def _describe(path: Path) -> dict[str, Any]:
    """What a sweep wrote down about the run that a file belongs to, if it was in one."""
    files = (folder / RUN_FILE for folder in path.parents)
    found = next((file for file in files if file.is_file()), None)
    return json.loads(found.read_text(encoding="utf-8")) if found else {}
