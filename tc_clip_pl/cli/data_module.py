"""Commands about data take the same words as `tcclip fit`: `--config NAME` and `--data...`."""

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
    """Make a parser that knows `--data`; the command adds its own options."""
    from jsonargparse import ArgumentParser
    from lightning.pytorch import LightningDataModule

    datamodules_by_name()
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
    options = [word for config in configs for word in _data_section(config)] + options[2 * len(configs) :]
    _check_data_is_named(options)
    try:
        parsed = parser.parse_args(options)
    except ArgumentError as error:
        raise UserError(explain_parser_error(error.message, parser.get_defaults().keys())) from error
    instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes  # its name before 4.49
    return instantiate(parsed).data, parsed


def busy(what: str) -> AbstractContextManager:
    """Show that something is being done that takes a while, where somebody is looking."""
    from rich.console import Console

    return Console(stderr=True).status(what) if sys.stderr.isatty() else nullcontext()


def _check_data_is_named(options: list[str]) -> None:
    """Say which data modules there are, where none is named or one that is not there."""
    known = [name for name in datamodules_by_name() if name != "VideoDataModule"]
    named = [word.partition("=")[2] for word in options if word.startswith("--data=")]
    named += [value for word, value in pairwise(options) if word == "--data"]
    if not named:
        raise UserError(f"No dataset is given; name one by --data ({', '.join(known)}) or --config NAME.")
    for name in named:
        if name.isidentifier() and name not in known:
            raise UserError(
                ended(f"There is no data module {name} (there are {', '.join(known)}){suggest(name, known)}")
            )


def datamodules_by_name() -> dict[str, type]:
    """The data modules of the package; loading them lets jsonargparse find them without the name of the package."""
    from lightning.pytorch import LightningDataModule

    import datamodules

    found = {name: getattr(datamodules, name) for name in datamodules.__all__}
    return {
        name: kind for name, kind in found.items() if isinstance(kind, type) and issubclass(kind, LightningDataModule)
    }


def _data_section(config: Path) -> list[str]:
    """The words that say what a configuration says of the data."""
    import yaml

    try:
        content: Any = yaml.safe_load(config.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"The configuration {config} is no valid YAML ({error}); correct it.") from error
    data = content.get("data") if isinstance(content, dict) else None
    return ["--data", json.dumps(data)] if data else []
