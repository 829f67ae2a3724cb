"""Parses the arguments of commands about data: `--config NAME` and `--data...`, as in `tcclip fit`."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentError
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.config_args import configs_first
from tc_clip_pl.cli.errors import UserError, ended, explain_parser_error, suggest

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace
    from lightning.pytorch import LightningDataModule


def build_data_parser() -> ArgumentParser:
    """Build a parser with `--data`; the command adds its own options."""
    from jsonargparse import ArgumentParser
    from lightning.pytorch import LightningDataModule

    find_data_modules()  # jsonargparse resolves a bare class name only among subclasses that are already imported
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_subclass_arguments(LightningDataModule, "data", required=True)
    return parser


def parse_data_args(parser: ArgumentParser, argv: list[str]) -> tuple[LightningDataModule, Namespace]:
    """Parse the arguments of a command, including the `data` section of the configurations among them.

    Args:
        parser: From `build_data_parser`.
        argv: Arguments after the subcommand.

    Returns:
        The data module, not set up, and all options.

    Raises:
        UserError: The arguments are wrong; the message is one sentence.
    """
    args, configs = configs_first(argv)
    # A configuration is for a whole run, and this parser would reject all of it but the data. So `--config PATH`, two
    # arguments at the front for each, is replaced by the data section. Later arguments override it, as in a run.
    args = [argument for config in configs for argument in _data_section(config)] + args[2 * len(configs) :]
    _check_data_is_given(args)
    try:
        parsed = parser.parse_args(args)
    except ArgumentError as error:
        raise UserError(explain_parser_error(error.message, parser.get_defaults().keys())) from error
    check_test_names(parsed.data)
    return build_data(parser, parsed), parsed


def check_test_names(data: Namespace) -> None:
    """Refuse `--data.tests.NAME.KEY` for a test set that the suite does not have.

    The parser makes a new one, of the abstract class that all test sets share.

    Raises:
        UserError: Naming the test set and the nearest one there is.
    """
    tests = (data.get("init_args") or {}).get("tests") or {}
    unknown = [name for name, test in tests.items() if test.class_path.endswith(".VideoDataModule")]
    known = [name for name in tests if name not in unknown]
    if unknown:
        listed = f"(known: {', '.join(known)})"
        raise UserError(ended(f"There is no test set {unknown[0]} in data.tests {listed}{suggest(unknown[0], known)}"))


def build_data(parser: ArgumentParser, parsed: Namespace) -> LightningDataModule:
    """Build the data module of parsed arguments; it reads nothing yet.

    Args:
        parser: From `build_data_parser`.
        parsed: Its result, or any namespace with `data`.
    """
    instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes  # its name before 4.49
    return instantiate(parsed).data


def spinner(message: str) -> AbstractContextManager:
    """Show a message with a spinner while the block runs, if stderr is a TTY."""
    from rich.console import Console

    return Console(stderr=True).status(message) if sys.stderr.isatty() else nullcontext()


def find_data_modules() -> dict[str, type]:
    """Import the data modules of `datamodules` and return them by name."""
    from lightning.pytorch import LightningDataModule

    import datamodules

    public = {name: getattr(datamodules, name) for name in datamodules.__all__}
    return {
        name: value
        for name, value in public.items()
        if isinstance(value, type) and issubclass(value, LightningDataModule)
    }


def _check_data_is_given(args: list[str]) -> None:
    """Raise UserError with the known data modules if none is given, or an unknown one.

    jsonargparse's own message for either is a page long.
    """
    known = [name for name in find_data_modules() if name != "VideoDataModule"]  # which is abstract
    given = [argument.partition("=")[2] for argument in args if argument.startswith("--data=")]
    given += [value for argument, value in pairwise(args) if argument == "--data"]
    if not given:
        raise UserError(f"No dataset is given; choose one with --data ({', '.join(known)}) or --config NAME.")
    for name in given:
        # Dotted paths are classes of other packages, and the data section of a configuration is JSON.
        if name.isidentifier() and name not in known:
            raise UserError(ended(f"Unknown data module {name} (known: {', '.join(known)}){suggest(name, known)}"))


def _data_section(config: Path) -> list[str]:
    """Return the data section of a configuration as arguments."""
    import yaml

    try:
        content: Any = yaml.safe_load(config.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"The configuration {config} is not valid YAML ({error}); correct it.") from error
    data = content.get("data") if isinstance(content, dict) else None
    return ["--data", json.dumps(data)] if data else []
