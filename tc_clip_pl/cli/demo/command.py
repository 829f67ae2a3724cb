"""`tcclip demo`: from nothing to a report, each step only where its result is missing."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from tc_clip_pl.cli.startup import announced

HELP = """\
tcclip demo [DIR] [--KEY VALUE ...]:
train TC-CLIP beside a frame-wise baseline on generated videos, and report

  tcclip demo
  tcclip demo DIR --data_only

Writes DIR/data, video files of ten actions in the layout of HMDB-51; trains and
tests both models in DIR/runs, from the CLIP of the generated world that comes
with the package; and writes DIR/report.html, a page with its pictures in it.
About four minutes on two CPU cores. DIR is `demo` by default. What is there is
kept, and an interrupted demo goes on when the command is repeated.

  --data_only         only write the videos, to try other commands on
  --KEY VALUE         any option of `tcclip fit`, for both trainings"""

TRAIN_FILMS, TEST_FILMS = 96, 48
"""Films of each action."""
WORLD = 1
"""Seed of the films; the settings of `demo.yaml` were chosen on other films, those of seed 0."""


def demo(argv: Sequence[str]) -> None:
    """Write the videos, train and test both models, and write the report; what is there is kept.

    Args:
        argv: Arguments after `tcclip demo`; see `HELP`.

    Raises:
        UserError: An option of the trainings is wrong, or there are results of other options.
        DataError, OSError: Something cannot be written.
    """
    parser = argparse.ArgumentParser("tcclip demo", add_help=False, allow_abbrev=False)
    parser.add_argument("dir", type=Path, nargs="?", default=Path("demo"))
    parser.add_argument("--data_only", action="store_true")
    options, rest = parser.parse_known_args(list(argv))
    data = options.dir / "data"
    _write_videos(data)
    if options.data_only:
        print(f"Next: tcclip fit --config demo.yaml --data.root {shlex.quote(str(data))}")
        return
    with announced("Loading PyTorch and Lightning ..."):
        from tc_clip_pl.cli.demo.report import write_page
        from tc_clip_pl.cli.demo.runs import run_missing

    runs = run_missing(options.dir, rest)
    write_page(runs, data, options.dir / "report.html")


def _write_videos(folder: Path) -> None:
    if folder.exists():
        print(f"{folder} exists and is kept.")
        return
    from datamodules.synthetic.actions import DEMO
    from datamodules.synthetic.write_dataset import write_synthetic_dataset

    number = len(DEMO) * (TRAIN_FILMS + TEST_FILMS)
    print(f"Writing {number} videos, half a minute ...", flush=True)
    write_synthetic_dataset(folder, DEMO, unseen=(), train_films=TRAIN_FILMS, test_films=TEST_FILMS, world_seed=WORLD)
    print(f"Wrote {folder}.")
