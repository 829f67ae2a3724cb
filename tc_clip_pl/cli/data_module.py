"""Commands about data take the same words as `tcclip fit`: `--config NAME` and `--data...`."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentError
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tc_clip_pl.cli.arguments import configs_first
from tc_clip_pl.cli.errors import UserError, explain_parser_error

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace
    from lightning.pytorch import LightningDataModule


def build_data_parser() -> ArgumentParser:
    """Make a parser that knows `--data`; the command adds its own options."""
    from jsonargparse import ArgumentParser
    from lightning.pytorch import LightningDataModule

    import datamodules

    for name in datamodules.__all__:  # a class that is loaded can be named without its package
        getattr(datamodules, name)
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_subclass_arguments(LightningDataModule, "data", required=True)
    return parser


def parse_data_words(parser: ArgumentParser, words: list[str]) -> tuple[LightningDataModule, Namespace]:
    """Parse the words of a command, with the data of the configurations named among them.

    Args:
        parser: From `build_data_parser`.
        words: The words behind the subcommand.

    Returns:
        The data module, not set up, and all options.

    Raises:
        UserError: If the words are wrong, in one sentence.
    """
    options, configs = configs_first(words)
    sections = [word for config in configs for word in _data_section(config)]
    try:
        parsed = parser.parse_args(sections + options[2 * len(configs) :])
    except ArgumentError as error:
        raise UserError(explain_parser_error(error.message, parser.get_defaults().keys())) from error
    instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes  # its name before 4.49
    return instantiate(parsed).data, parsed


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Show that something is being done that takes a while, where somebody is looking."""
    from rich.console import Console

    with Console(stderr=True).status(what) if sys.stderr.isatty() else _nothing():
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _data_section(config: Path) -> list[str]:
    """The words that say what a configuration says of the data."""
    import yaml

    try:
        content: Any = yaml.safe_load(config.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"The configuration {config} is no valid YAML ({error}); correct it.") from error
    data = content.get("data") if isinstance(content, dict) else None
    return ["--data", json.dumps(data)] if data else []
