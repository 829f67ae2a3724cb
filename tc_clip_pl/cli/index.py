"""`tcclip index`: embeds the windows of videos, for `tcclip search`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING

from tc_clip_pl.cli.arguments import DEFAULT_WINDOW, check_known, check_windows, parse_arguments
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.model_option import load_recognizer
from tc_clip_pl.cli.progress import with_progress
from tc_clip_pl.cli.recognize_options import ENGINES
from tc_clip_pl.cli.startup import announced

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from tc_clip_pl.inference.recognizer import Recognizer
    from tc_clip_pl.search.build import Changes
    from tc_clip_pl.search.embedding import VideoVectors
    from tc_clip_pl.search.index import VideoIndex

HELP = """\
tcclip index SOURCE ... INDEX [--KEY VALUE ...]:
embed videos, so that `tcclip search` finds moments in them

  tcclip index my_videos my_index --model RUN
  tcclip index s3://BUCKET/videos more_videos list.txt my_index

A SOURCE is a folder, a video, a .txt file with a video per line, or a URL that
fsspec opens. INDEX is a folder. The same command goes on where it was
interrupted, and later embeds what is new or has another size or time, and
removes what is deleted. A video that cannot be read is a line; it is tried
again the next time. The exit code is 1 if no video is in the index.

  --model SOURCE       a run folder, a checkpoint, a folder of `tcclip convert`,
                       a hub name; an index remembers its model. Default: world,
                       the small CLIP of the generated world that comes with
                       the package
  --window SECONDS     one vector for each window of this length (10)
  --stride SECONDS     from one window to the next (half a window)
  --device cpu|cuda|cuda:0,cuda:1
                       default: a GPU if there is one
  --batch_size N       windows at a time on one device (8)
  --num_workers N      decoding processes (a share of the CPU cores)
  --engine local|ray   ray: one worker per GPU, or per CPU, of the Ray cluster
                       that RAY_ADDRESS names, else of this machine"""

OPTIONS = {
    **dict.fromkeys(("model", "device"), (str, None)),
    **dict.fromkeys(("window", "stride"), (float, None)),
    **dict.fromkeys(("batch_size", "num_workers"), (int, None)),
    "engine": (str, "local"),
}
"""Option -> type and default."""


def index(argv: list[str]) -> int:
    """Write an index, or bring it up to date.

    Args:
        argv: Arguments after `tcclip index`; see `HELP`.

    Returns:
        0 if the index has a video, else 1.

    Raises:
        UserError: The arguments are wrong.
        DataError: A source does not exist, or the index is damaged or one of another model.
        OSError, ValueError: There is no such model.
    """
    options = parse_options(argv)
    with announced("Loading PyTorch ..."):
        from tc_clip_pl.cli.library_logging import silence_library_logs
        from tc_clip_pl.search.build import find_changes
        from tc_clip_pl.search.video_sources import list_videos
    silence_library_logs()
    videos = list_videos(options.sources)
    recognizer, found = open_index(options)
    with found.writing():
        changes = find_changes(found, videos, options.sources)
        bad = _embed(recognizer, found, videos, changes, options)
    print(summarize(found, changes, bad))
    return 0 if found.marks else 1


def parse_options(argv: list[str]) -> Namespace:
    """Parse and check the arguments.

    Raises:
        UserError: They are wrong.
    """
    options = parse_arguments(argv, {"sources": "*"}, OPTIONS)
    check_known(options, "engine", ENGINES)
    check_windows(options)
    if len(options.sources) < 2:
        raise UserError("Give videos and then the folder of the index: tcclip index my_videos my_index.")
    options.index = options.sources.pop()
    return options


def open_index(options: Namespace) -> tuple[Recognizer, VideoIndex]:
    """Load the model, and open the index or make it; what the options leave out is as in the index."""
    from tc_clip_pl.inference.model_source import DEFAULT
    from tc_clip_pl.search.build import check_settings, describe
    from tc_clip_pl.search.index import VideoIndex

    own = VideoIndex(options.index).settings if VideoIndex.exists(options.index) else None
    recognizer = load_recognizer(options, own and own.model)
    window = options.window or (own.window if own else DEFAULT_WINDOW)
    stride = options.stride or (own.stride if own and window == own.window else window / 2)
    settings = describe(recognizer, options.model or (own.model if own else DEFAULT), window, stride)
    if own is None:
        return recognizer, VideoIndex.create(options.index, settings)
    found = VideoIndex(options.index)
    check_settings(found, settings)
    return recognizer, found


def _embed(
    recognizer: Recognizer, found: VideoIndex, videos: dict[str, str], changes: Changes, options: Namespace
) -> set[str]:
    """Embed what is new or changed; return the videos that could not be read."""
    from tc_clip_pl.search.build import update
    from tc_clip_pl.search.embedding import embed_videos

    def embed(names: list[str]) -> Iterable[VideoVectors]:
        if options.engine == "ray":
            from tc_clip_pl.ray_jobs import EmbedWorker, run_on_ray

            given = {"batch_size": options.batch_size} if options.batch_size else {}
            return run_on_ray(EmbedWorker, {"settings": found.settings, "options": given}, names)
        return embed_videos(recognizer, names, found.settings.window, found.settings.stride)

    bad = set()
    with closing(update(found, videos, changes, embed)) as embedded:
        for video in with_progress(embedded, len(changes.new) + len(changes.changed), "Embedding"):
            if video.error:
                bad.add(video.video)
                print(f"Not read: {video.video} {video.error}", file=sys.stderr)
    return bad


def summarize(found: VideoIndex, changes: Changes, bad: set[str]) -> str:
    """Say in one line what has changed."""
    counts = {
        "new": len({*changes.new} - bad),
        "changed": len({*changes.changed} - bad),
        "deleted": len(changes.deleted),
        "unchanged": changes.kept,
        "not read": len(bad),
    }
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count or what == "new")
    return f"{found.folder}: {len(found.marks)} videos, {found.num_windows} windows ({said})."
