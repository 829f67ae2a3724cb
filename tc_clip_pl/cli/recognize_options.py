"""The options of `tcclip recognize`, and one sentence for each mistake in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.answer_formats import FORMATS
from tc_clip_pl.cli.errors import UserError, explain_parser_error

if TYPE_CHECKING:
    from jsonargparse import Namespace

DEFAULT_WINDOW = 10.0  # seconds
ENGINES = ("local", "ray")
TEXTS = ("labels", "model", "views", "stream", "features", "device", "decoder", "shards")


def parse_options(argv: list[str]) -> Namespace:
    """Parse and check the arguments; for a timeline, `window` and `stride` are set.

    Raises:
        UserError: They are wrong.
    """
    from argparse import ArgumentError

    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_argument("videos", type=str, nargs="*")
    for name in TEXTS:
        parser.add_argument(f"--{name}", type=str | None, default=None)
    for name in ("window", "stride"):
        parser.add_argument(f"--{name}", type=float | None, default=None)
    for name in ("batch_size", "num_workers"):
        parser.add_argument(f"--{name}", type=int | None, default=None)
    parser.add_argument("--format", type=str, default="table")
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("--engine", type=str, default="local")
    parser.add_argument("--unknown_threshold", type=float, default=0.0)
    try:
        options = parser.parse_args(argv)
    except ArgumentError as error:
        raise UserError(explain_parser_error(error.message, parser.get_defaults().keys())) from error
    _check_input(options)
    _check_ranges(options)
    _check_window(options)
    _check_engine(options)
    if is_timeline(options):
        options.window = options.window or DEFAULT_WINDOW
        options.stride = options.stride or options.window / 2
    return options


def is_timeline(options: Namespace) -> bool:
    """Return whether the answers are those of segments."""
    return bool(options.window or options.stream)


def _check_input(options: Namespace) -> None:
    if bool(options.videos) == bool(options.stream):
        raise UserError("Give videos or folders, or --stream URL: tcclip recognize a.mp4 --labels LABELS.")
    if not options.labels:
        raise UserError('Give the words to choose from: --labels "brush hair, ride bike", or a file of them.')
    if options.features and Path(options.features).exists():
        raise UserError(f"{options.features} exists: name another file, or remove it.")


def _check_ranges(options: Namespace) -> None:
    if options.format not in FORMATS:
        raise UserError(f"--format is {options.format!r}; choose one of {', '.join(FORMATS)}.")
    if options.top < 1:
        raise UserError(f"--top is {options.top}; it must be at least 1.")
    if not 0 <= options.unknown_threshold <= 1:
        raise UserError(f"--unknown_threshold is {options.unknown_threshold:g}; it must be between 0 and 1.")
    for name in ("window", "stride"):
        if options[name] is not None and not 0 < options[name] < float("inf"):
            raise UserError(f"--{name} is {options[name]:g}; it must be a positive number of seconds.")


def _check_window(options: Namespace) -> None:
    if options.stride and not options.window and not options.stream:
        raise UserError("--stride moves a window: give --window too.")
    if options.features and is_timeline(options):
        raise UserError("--features is for whole videos: leave --window and --stream out.")
    window = options.window or DEFAULT_WINDOW
    if options.stride and options.stride > window:
        raise UserError(f"--stride {options.stride:g} leaves gaps between windows of {window:g} s; make it shorter.")


def _check_engine(options: Namespace) -> None:
    if options.engine not in ENGINES:
        raise UserError(f"--engine is {options.engine!r}; choose one of {', '.join(ENGINES)}.")
    if options.engine == "ray":
        for name in ("stream", "features", "device", "num_workers"):
            if options[name] is not None:
                raise UserError(f"--{name} is not for --engine ray: leave it out.")
    elif options.shards:
        raise UserError("--shards is for --engine ray: add it, or print to a file by --format jsonl.")


def read_views(text: str | None) -> dict[str, Any]:
    """Read `--views 4x3` as options of `ClipOptions`.

    Raises:
        UserError: It has another form.
    """
    if text is None:
        return {}
    temporal, _, spatial = text.lower().partition("x")
    if not (temporal.isdigit() and spatial.isdigit()):
        raise UserError(f"--views is {text!r}; give temporal views x crops, such as 2x1 or 4x3.")
    return {"num_temporal_views": int(temporal), "num_spatial_views": int(spatial)}
