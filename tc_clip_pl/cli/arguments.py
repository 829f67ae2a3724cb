"""Parsing and checking of the options of commands that take no configuration."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.errors import UserError, explain_parser_error

if TYPE_CHECKING:
    from jsonargparse import Namespace

DEFAULT_WINDOW = 10.0  # seconds


def parse_arguments(
    argv: list[str], positional: Mapping[str, str], options: Mapping[str, tuple[Any, Any]]
) -> Namespace:
    """Parse the arguments of a command.

    Args:
        argv: Arguments after the subcommand.
        positional: Name -> "?" for one that may be missing, "*" for any number.
        options: Name, without the dashes -> its type and default; one whose default is None may also be null. A `bool`
            takes no value, and is False where it is not given.

    Raises:
        UserError: An option is unknown, or a value of another type.
    """
    from argparse import ArgumentError

    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    for name, count in positional.items():
        parser.add_argument(name, type=str, nargs=count)
    for name, (kind, default) in options.items():
        if kind is bool:
            parser.add_argument(f"--{name}", action="store_true")
        else:
            parser.add_argument(f"--{name}", type=kind | None if default is None else kind, default=default)
    try:
        return parser.parse_args(argv)
    except ArgumentError as error:
        raise UserError(explain_parser_error(error.message, parser.get_defaults().keys())) from error


def check_known(options: Namespace, name: str, known: Collection[str]) -> None:
    """Check that an option has one of the known values.

    Raises:
        UserError: It does not.
    """
    if options[name] not in known:
        raise UserError(f"--{name} is {options[name]!r}; choose one of {', '.join(known)}.")


def check_windows(options: Namespace) -> None:
    """Check `--window` and `--stride`.

    Raises:
        UserError: One is no positive number of seconds, or the stride leaves gaps between windows.
    """
    for name in ("window", "stride"):
        if options[name] is not None and not 0 < options[name] < float("inf"):
            raise UserError(f"--{name} is {options[name]:g}; it must be a positive number of seconds.")
    window = options.window or DEFAULT_WINDOW
    if options.stride and options.stride > window:
        raise UserError(f"--stride {options.stride:g} leaves gaps between windows of {window:g} s; make it shorter.")
