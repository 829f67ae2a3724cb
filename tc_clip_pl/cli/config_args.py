"""What is done to the words of the command line before they are parsed."""

from pathlib import Path

from tc_clip_pl.cli.configs import find_config
from tc_clip_pl.cli.errors import UserError


def configs_first(arguments: list[str]) -> tuple[list[str], list[Path]]:
    """Find the named configurations and put them ahead of the options that change them.

    Args:
        arguments: Options of a subcommand, `--config NAME` (or `-c`, or with `=`) anywhere among them.

    Returns:
        The same options with `--config PATH` first, and those paths in their order.

    Raises:
        UserError: If a configuration is not found or `--config` ends the line.
    """
    paths, rest, remaining = [], [], iter(arguments)
    for argument in remaining:
        flag, has_value, value = argument.partition("=")
        if flag not in ("--config", "-c"):
            rest.append(argument)
            continue
        if not has_value and (value := next(remaining, "")) == "":
            raise UserError("--config needs the name of a configuration: `tcclip configs` lists those shipped.")
        paths.append(find_config(value))
    return [word for path in paths for word in ("--config", str(path))] + rest, paths
