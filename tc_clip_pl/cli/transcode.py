"""`tcclip transcode`: a copy of a dataset whose videos are small and quick to read."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tc_clip_pl.cli.arguments import check_known, parse_arguments
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.cli.progress import with_progress
from tc_clip_pl.cli.startup import announced

if TYPE_CHECKING:
    from jsonargparse import Namespace

    from datamodules.transcode.copy import DatasetCopy

HELP = """\
tcclip transcode SOURCE DEST [--shards] [--KEY VALUE ...]:
copy a dataset with videos that are small and quick to read

  tcclip transcode data/k400 data/k400_256
  tcclip transcode data/k400 data/k400_shards --shards
  tcclip fit --config fully_supervised_k400.yaml --data.root data/k400_256

DEST gets every video as H.264 in MP4, with the same frames at the same times,
without sound, and every other file as it is, in the same folders. Names stay
but for the ending: lists that name x.avi find x.mp4. Each copy is read again
before it counts. The same command goes on where it was interrupted, and later
follows SOURCE: what is new or changed is written, what is deleted is removed.
Videos that cannot be read are listed at the end; the exit code is then 1.

  --shards             few large files instead of many small ones: WebDataset
                       tar files, with shards.jsonl. --data.root takes DEST, or
                       the URL that it was uploaded to, such as
                       s3://BUCKET/k400_shards
  --shard_mb N         a tar file of this size is closed (1000)
  --short_side N       of the frames; smaller videos keep theirs (256)
  --key_every N        frames from one key frame to the next: less reads faster,
                       more makes smaller files (4)
  --crf N              quality of x264, 0 (exact) to 51 (20)
  --num_workers N      processes (one per CPU core)
  --on_bad_video raise|skip
                       skip: exit code 0 in spite of unreadable videos"""

OPTIONS = {
    "shards": (bool, False),
    "shard_mb": (int, 1000),
    **{"short_side": (int, 256), "key_every": (int, 4), "crf": (int, 20)},
    "num_workers": (int, None),
    "on_bad_video": (str, "raise"),
}
"""Option -> type and default."""
BOUNDS = {"shard_mb": (1, 1_000_000), "short_side": (16, 4096), "key_every": (1, 1000), "crf": (0, 51)}
BOUNDS |= {"num_workers": (1, 1024)}
"""Option -> its least and its largest value."""


def transcode(argv: list[str]) -> int:
    """Write a copy, or bring it up to date.

    Args:
        argv: Arguments after `tcclip transcode`; see `HELP`.

    Returns:
        1 if a file could not be copied and `--on_bad_video` is `raise`, else 0.

    Raises:
        UserError: The arguments are wrong, or DEST cannot be written.
        DataError: SOURCE is not there, or DEST is something else.
    """
    options = _parse(argv)
    with announced("Loading PyTorch ..."):
        from datamodules.parallel import available_cores
        from datamodules.splits.lookup import parse_root
        from datamodules.transcode.copy import open_copy
        from datamodules.transcode.video import VideoSettings
    settings = VideoSettings(options.short_side, options.key_every, options.crf)
    shard_bytes = options.shard_mb * 1_000_000 if options.shards else None
    target, began = Path(options.dest).expanduser(), time.monotonic()
    try:
        with open_copy(parse_root(options.source), target, settings, shard_bytes) as copy:
            _run(copy, options.num_workers or available_cores())
    except OSError as error:
        said = error.strerror or type(error).__name__
        raise UserError(f"{target} cannot be written ({said}): mend that, and repeat the command.") from error
    _print_summary(copy, target, time.monotonic() - began)
    return 1 if copy.errors and options.on_bad_video == "raise" else 0


def _parse(argv: list[str]) -> Namespace:
    options = parse_arguments(argv, {"source": "?", "dest": "?"}, OPTIONS)
    if not options.source or not options.dest:
        raise UserError("Give a dataset and a folder for its copy: tcclip transcode SOURCE DEST.")
    check_known(options, "on_bad_video", ("raise", "skip"))
    for name, (least, most) in BOUNDS.items():
        if options[name] is not None and not least <= options[name] <= most:
            raise UserError(f"--{name} is {options[name]}; it must be from {least} to {most}.")
    if options.short_side % 2:
        raise UserError(f"--short_side is {options.short_side}; H.264 needs an even number.")
    if not options.shards and options.shard_mb != OPTIONS["shard_mb"][1]:
        raise UserError("--shard_mb is for --shards: add it, or leave --shard_mb out.")
    return options


def _run(copy: DatasetCopy, num_workers: int) -> None:
    from datamodules.splits.video_names import is_video

    with closing(copy.run(num_workers)) as done:
        videos = (task for task in done if is_video(task.source))
        total = sum(is_video(task.source) for task in copy.tasks)
        for _ in with_progress(videos, total, "Transcoding", "videos"):
            pass


def _print_summary(copy: DatasetCopy, target: Path, seconds: float) -> None:
    import rich
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    videos = [file for file in copy.journal.files.values() if file.frames is not None]
    others = len(copy.journal.files) - len(videos)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("Videos", "Frames", "Size before", "Size after", "Other files"):
        table.add_column(column, justify="right", no_wrap=True)
    sizes = (sum(file.source_size for file in videos), sum(file.size for file in videos))
    frames = sum(file.frames for file in videos)
    table.add_row(str(len(videos)), str(frames), *map(_format_size, sizes), str(others))
    rich.print(table)
    num_new = len(videos) - copy.num_kept
    counts = {"unchanged": copy.num_kept, "removed": copy.num_gone, "not copied": len(copy.errors)}
    said = "".join(f", {count} {what}" for what, count in counts.items() if count)
    rate = f" ({num_new / seconds:.1f} videos/s)" if num_new else ""
    print(f"{num_new} written in {_format_time(seconds)}{rate}{said}.\nTo use them: --data.root {target}")
    for source, error in sorted(copy.errors.items()):
        print(f"Not copied: {source} {error}", file=sys.stderr)


def _format_size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _format_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
