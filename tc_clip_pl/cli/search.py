"""`tcclip search`: finds moments in indexed videos, by words or by example."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tc_clip_pl.cli.arguments import check_known, parse_arguments
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.model_option import load_recognizer
from tc_clip_pl.cli.startup import announced

if TYPE_CHECKING:
    import numpy as np
    from jsonargparse import Namespace

    from tc_clip_pl.search.index import VideoIndex
    from tc_clip_pl.search.moments import Moment

HELP = """\
tcclip search INDEX "WORDS" [--KEY VALUE ...]
tcclip search INDEX --like VIDEO [--KEY VALUE ...]:
find moments in the videos of an index, by words or by example

  tcclip search my_index "someone falls off a bike" --top 10
  tcclip search my_index --like clip.mp4 --sheet found.png

The score is the cosine of the two embeddings, -1 to 1. A model whose texts read
the video (video-conditional prompting) searches with its learned prompts alone,
as there is no video yet. Of windows of a video that overlap, only the best one
is listed. Up to a million windows, all are compared.

  --top N              moments to list (10)
  --like VIDEO         a file or URL, embedded as a whole
  --format table|json  json has the whole paths
  --sheet FILE.png     also draw frames of each moment
  --model SOURCE       where the model of the index is now, if it has moved
  --device cpu|cuda    default: a GPU if there is one"""
FORMATS = ("table", "json")
OPTIONS = {
    **dict.fromkeys(("like", "sheet", "model", "device"), (str, None)),
    "format": (str, "table"),
    "top": (int, 10),
}
"""Option -> type and default."""


def search(argv: list[str]) -> int:
    """Print the moments that are nearest to a query.

    Args:
        argv: Arguments after `tcclip search`; see `HELP`.

    Returns:
        0.

    Raises:
        UserError: The arguments are wrong.
        DataError: The index is missing, damaged or of another model; the example cannot be read.
        OSError, ValueError: There is no such model, or the text is too long.
    """
    options = _parse(argv)
    with announced("Loading PyTorch ..."):
        from tc_clip_pl.cli.library_logging import silence_library_logs
        from tc_clip_pl.search.index import VideoIndex
        from tc_clip_pl.search.moments import MomentSearch
    silence_library_logs()
    index = VideoIndex(options.index)
    finder = MomentSearch(index)
    moments = finder.find(_embed_query(index, options), options.top)
    (_print_json if options.format == "json" else _print_table)(moments)
    if options.sheet:
        from tc_clip_pl.search.contact_sheet import draw_contact_sheet, save_contact_sheet

        title = options.text or f"like {options.like}"
        sheet = draw_contact_sheet(title, moments, [_short(moment.video) for moment in moments])
        save_contact_sheet(options.sheet, sheet)
        print(f"Wrote {options.sheet}.", file=sys.stderr)
    return 0


def _parse(argv: list[str]) -> Namespace:
    options = parse_arguments(argv, {"index": "?", "text": "?"}, OPTIONS)
    if not options.index or (not (options.text or "").strip()) == (not options.like):
        raise UserError('Give an index, and words or --like VIDEO: tcclip search my_index "riding a bike".')
    check_known(options, "format", FORMATS)
    if options.top < 1:
        raise UserError(f"--top is {options.top}; it must be at least 1.")
    if options.sheet and Path(options.sheet).exists():
        raise UserError(f"{options.sheet} exists: name another file, or remove it.")
    return options


def _embed_query(index: VideoIndex, options: Namespace) -> np.ndarray:
    from datamodules.errors import DataError
    from tc_clip_pl.search.build import check_settings, describe
    from tc_clip_pl.search.embedding import embed_text, embed_videos

    own = index.settings
    recognizer = load_recognizer(options, own.model)
    check_settings(index, describe(recognizer, options.model or own.model, own.window, own.stride))
    if not options.like:
        return embed_text(recognizer, options.text)
    (example,) = embed_videos(recognizer, [options.like], float("inf"), 1.0)
    if example.error:
        raise DataError(f"{options.like} {example.error}")
    return example.vectors[0]


def _print_json(moments: list[Moment]) -> None:
    rows = [
        {"video": m.video, "start": round(m.start, 2), "end": round(m.end, 2), "score": round(m.score, 6)}
        for m in moments
    ]
    print(json.dumps(rows, indent=2, ensure_ascii=False))


def _print_table(moments: list[Moment]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("Score", justify="right", no_wrap=True)
    table.add_column("Seconds", justify="right", no_wrap=True)
    table.add_column("Video", overflow="fold")
    for rank, moment in enumerate(moments, 1):
        seconds = f"{moment.start:.1f} - {moment.end:.1f}"
        table.add_row(str(rank), f"{moment.score:.3f}", seconds, Text(_short(moment.video)))
    Console(highlight=False).print(table)


def _short(video: str) -> str:
    """Return a path below the current directory as relative to it."""
    return video.removeprefix(os.path.join(os.getcwd(), ""))
