"""The options of `tcclip recognize`, and one sentence for each mistake in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.answer_formats import FORMATS
from tc_clip_pl.cli.arguments import DEFAULT_WINDOW, check_known, check_windows, parse_arguments
from tc_clip_pl.cli.errors import UserError

if TYPE_CHECKING:
    from jsonargparse import Namespace

ENGINES = ("local", "ray")
TEXTS = ("labels", "model", "views", "stream", "features", "device", "decoder", "shards")
OPTIONS = {
    **dict.fromkeys(TEXTS, (str, None)),
    **dict.fromkeys(("window", "stride"), (float, None)),
    **dict.fromkeys(("batch_size", "num_workers"), (int, None)),
    "format": (str, "table"),
    "top": (int, 5),
    "engine": (str, "local"),
    "unknown_threshold": (float, 0.0),
}
"""Option -> type and default."""


def parse_options(argv: list[str]) -> Namespace:
    """Parse and check the arguments; for a timeline, `window` and `stride` are set.

    Raises:
        UserError: They are wrong.
    """
    options = parse_arguments(argv, {"videos": "*"}, OPTIONS)
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
    check_known(options, "format", FORMATS)
    check_known(options, "engine", ENGINES)
    if options.top < 1:
        raise UserError(f"--top is {options.top}; it must be at least 1.")
    if not 0 <= options.unknown_threshold <= 1:
        raise UserError(f"--unknown_threshold is {options.unknown_threshold:g}; it must be between 0 and 1.")
    check_windows(options)


def _check_window(options: Namespace) -> None:
    if options.stride and not options.window and not options.stream:
        raise UserError("--stride moves a window: give --window too.")
    if options.features and is_timeline(options):
        raise UserError("--features is for whole videos: leave --window and --stream out.")


def _check_engine(options: Namespace) -> None:
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
    if not (temporal.isdigit() and int(temporal) and spatial in ("1", "3")):
        raise UserError(f"--views is {text!r}; give temporal views x crops (1 or 3), such as 2x1 or 4x3.")
    return {"num_temporal_views": int(temporal), "num_spatial_views": int(spatial)}
