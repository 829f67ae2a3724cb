"""`tcclip tour`: from nothing to a report, each step only where its result is missing."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from tc_clip_pl.cli.startup import announced

HELP = """\
tcclip tour [DIR] [--data_only]:
train TC-CLIP beside a frame-wise baseline on generated videos, and report

  tcclip tour
  tcclip tour DIR --data_only

Writes DIR/data, video files of ten actions in the layout of HMDB-51; trains and
tests both models in DIR/runs, from the CLIP of the generated world that comes
with the package; and writes DIR/report.html, a page with its pictures in it.
Four to five minutes on two CPU cores. DIR is `demo` by default. What is there
is kept: the same command goes on with an interrupted tour, and writes the
report again.

  --data_only         only write the videos, to try other commands on"""


def tour(argv: Sequence[str]) -> None:
    """Write the videos, train and test both models, and write the report; what is there is kept.

    Args:
        argv: Arguments after `tcclip tour`; see `HELP`.

    Raises:
        UserError: The folder cannot be written, has files of something else, or a checkpoint is gone.
        DataError: There is no encoder for the videos.
    """
    parser = argparse.ArgumentParser("tcclip tour", add_help=False, allow_abbrev=False)
    parser.add_argument("dir", type=Path, nargs="?", default=Path("demo"))
    parser.add_argument("--data_only", action="store_true")
    options = parser.parse_args(list(argv))
    with announced("Loading PyTorch and Lightning ..."):
        from tc_clip_pl.cli.tour.folder import check_folder, write_missing_videos
        from tc_clip_pl.cli.tour.report import write_page
        from tc_clip_pl.cli.tour.runs import run_missing
    check_folder(options.dir)
    data = write_missing_videos(options.dir)
    if options.data_only:
        print(f"Next: tcclip fit --config demo.yaml --data.root {shlex.quote(str(data))}")
        return
    write_page(run_missing(options.dir), data, options.dir / "report.html")
