"""`tcclip check`: holds a dataset against its lists before a long run."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tc_clip_pl.cli.data_module import build_data_parser, busy, parse_data_words
from tc_clip_pl.cli.errors import UserError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from datamodules.check.run import CheckReport, CheckSettings, Progress
    from datamodules.options import ClipOptions

HELP = """\
tcclip check --config NAME | --data NAME [--data.KEY VALUE ...]: hold a dataset against its lists before a long run

  tcclip check --config few_shot_hmdb.yaml --data.root data/hmdb51 --data.splits_dir my_splits
  tcclip check --data HMDB51DataModule --data.root data/hmdb51 --level header

Takes the data words of `tcclip fit`, and checks every list that would be trained and tested on. Tells all that is
wrong, and ends with exit code 1 if there is

  trouble   malformed lines, labels of no class, clips listed twice, classes without training clips, test clips
            that are trained on; missing, ambiguous, empty, unreadable or undecodable files
            (with --data.on_bad_video skip, such files are left out by a run and are no trouble)
  warnings  (exit code 0) clips with fewer frames than a view, whose frames are repeated; classes without test
            clips; clips in the folder of another class

  --level presence|header|decode    presence: the file is there and not empty; header: it can be opened as well;
                                    decode: the frames of a view can be decoded as well (the default)
  --num_workers N                   processes; by default one for each core
  --report FILE                     the report as JSON (check_report.json)
  --cache FILE                      files found good, which are not read again until their size or time changes
                                    (tcclip/check.jsonl in your cache directory)"""


def check_data(words: list[str]) -> int:
    """Check the lists of a dataset and print what is wrong.

    Args:
        words: Options; see `HELP`.

    Returns:
        The exit code: 1 if there is trouble.

    Raises:
        UserError: If the words are wrong.
        ValueError: If the settings are, or the root is empty.
    """
    with busy("Reading the lists"):
        from datamodules.check.lists import read_lists
        from datamodules.check.run import check_files
        from tc_clip_pl.cli.check_report import print_report

        parser = build_data_parser()
        _add_options(parser)
        data, options = parse_data_words(parser, words)
        gc.freeze()  # or the collector goes through all that was imported again and again while lists grow
        lists, settings = read_lists(data.requests), _settings(data.options, options)
    with _progress() as progress:
        report = check_files(lists, settings, progress)
    print_report(report)
    print(f"The whole report: {_write(report, options.report)}")
    return 1 if report.has_trouble else 0


def _add_options(parser: ArgumentParser) -> None:
    from datamodules.check.clips import LEVELS

    parser.add_argument("--level", choices=list(LEVELS), default="decode")
    parser.add_argument("--num_workers", type=int | None)
    parser.add_argument("--report", default="check_report.json")
    parser.add_argument("--cache", type=str | None)


def _settings(clips: ClipOptions, options: Namespace) -> CheckSettings:
    from datamodules.check.cache import default_cache_file
    from datamodules.check.run import CheckSettings

    if options.num_workers is not None and options.num_workers < 1:
        raise UserError(f"--num_workers is {options.num_workers}; it must be at least 1.")
    affinity = getattr(os, "sched_getaffinity", None)  # not on every platform
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return CheckSettings(
        level=options.level,
        num_frames=clips.num_frames,
        decoder=clips.decoder,
        num_workers=options.num_workers or cores,
        cache_file=Path(options.cache).expanduser() if options.cache else default_cache_file(),
        skips=clips.on_bad_video == "skip",
    )


def _write(report: CheckReport, name: str) -> Path:
    file = Path(name).expanduser()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on the screen, where somebody is looking."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("Checking files", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
