"""`tcclip check`: validate a dataset against its split files before a long run."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tc_clip_pl.cli.data_module import build_data_parser, parse_data_args, spinner
from tc_clip_pl.cli.errors import UserError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

    from datamodules.check.run import CheckReport, CheckSettings, Progress
    from datamodules.options import ClipOptions

INTERRUPTED = 130  # exit code of a program that Ctrl-C ended: 128 + SIGINT
HELP = """\
tcclip check --data NAME | --config NAME [--data.KEY VALUE ...]:
validate a dataset against its split files before a long run

  tcclip check --config few_shot_hmdb.yaml --data.root data/hmdb51
  tcclip check --data HMDB51DataModule --data.root data/hmdb51 --level header

Takes the --data options of `tcclip fit`, checks every list that such a run
would train or test on, and reports all problems at once. Exit code 1 means
errors.

  errors    malformed lines, labels out of range, clips listed twice, classes
            without training clips, test clips in the training list; missing,
            ambiguous, empty, unreadable or undecodable files
  warnings  clips shorter than a view (their frames are repeated), classes
            without test clips, clips in another class's folder; bad files, if
            --data.on_bad_video skip makes a run skip them

  --level LEVEL     presence: the files exist and are not empty
                    header:   they can also be opened; of shards, only
                              that they reach to the end of every clip
                    decode:   the frames of a view can also be decoded (default)
  --num_workers N   number of processes (one per CPU core)
  --report FILE     report as JSON (check_report.json)
  --cache FILE      good files, not read again until their size or time changes
                    (tcclip/check.jsonl in your cache directory)"""


def check_data(argv: list[str]) -> int:
    """Check the lists of a dataset and print every problem.

    Args:
        argv: Arguments after `tcclip check`; see `HELP`.

    Returns:
        The exit code: 1 if there are errors, 130 after Ctrl-C.

    Raises:
        UserError: The arguments are wrong.
        ValueError: The settings are wrong, or the root is empty.
    """
    with spinner("Reading the lists"):
        from datamodules.check.lists import read_lists
        from datamodules.check.run import check_files
        from tc_clip_pl.cli.check_report import print_report

        parser = build_data_parser()
        _add_options(parser)
        data, options = parse_data_args(parser, argv)
        # Lists of large datasets are millions of objects. Without this, each garbage collection they trigger would
        # also go through everything that the imported libraries have created.
        gc.freeze()
        lists, settings = read_lists(data.requests), _build_settings(data.options, options)
    try:
        with progress_bar() as progress:
            report = check_files(lists, settings, progress)
    except KeyboardInterrupt:
        # The good files so far are in the cache.
        print("Interrupted; the same command continues where this one stopped.", file=sys.stderr)
        return INTERRUPTED
    print_report(report)  # a summary; the file has every problem
    print(f"Full report: {_write(report, options.report)}")
    return 1 if report.errors else 0


def _add_options(parser: ArgumentParser) -> None:
    from datamodules.check.clips import LEVELS

    parser.add_argument("--level", choices=list(LEVELS), default="decode")
    parser.add_argument("--num_workers", type=int | None)
    parser.add_argument("--report", default="check_report.json")
    parser.add_argument("--cache", type=str | None)


def _build_settings(clips: ClipOptions, options: Namespace) -> CheckSettings:
    from datamodules.check.cache import default_cache_file
    from datamodules.check.run import CheckSettings
    from datamodules.parallel import available_cores

    if options.num_workers is not None and options.num_workers < 1:
        raise UserError(f"--num_workers is {options.num_workers}; it must be at least 1.")
    return CheckSettings(
        level=options.level,
        num_frames=clips.num_frames,
        decoder=clips.decoder,
        num_workers=options.num_workers or available_cores(),
        cache_file=Path(options.cache).expanduser() if options.cache else default_cache_file(),
        skip_bad_clips=clips.on_bad_video == "skip",
    )


def _write(report: CheckReport, name: str) -> Path:
    file = Path(name).expanduser()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show a progress bar if stderr is a TTY; yield the function that updates it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("Checking files", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
