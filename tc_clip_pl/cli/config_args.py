"""What happens to the command line before it is parsed: configurations are found, plugins imported."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path

from tc_clip_pl.cli.configs import find_config
from tc_clip_pl.cli.errors import UserError


def configs_first(arguments: list[str]) -> tuple[list[str], list[Path]]:
    """Find the named configurations and move them ahead of the options that change them.

    Args:
        arguments: Options of a subcommand, with `--config NAME` (or `-c`, or with `=`) anywhere among them.

    Returns:
        The same options with `--config PATH` first, and those paths in their order.

    Raises:
        UserError: If a configuration is not found or `--config` has no value.
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
    return [part for path in paths for part in ("--config", str(path))] + rest, paths


def import_plugins(arguments: list[str], configs: Iterable[Path]) -> None:
    """Import the packages named by `--plugins` and by the key `plugins` of configurations.

    They are imported before parsing, so that the choices they register and the classes they define can be named.

    Args:
        arguments: Options of a subcommand.
        configs: The configurations among them.

    Raises:
        UserError: If one cannot be found, or another package that it imports.
    """
    for name in dict.fromkeys(_plugin_names(arguments, configs)):
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            raise UserError(
                f"The plugin {name} cannot be imported ({error}): --plugins takes names of installed packages, or of "
                "modules in the current directory."
            ) from error


def _plugin_names(arguments: list[str], configs: Iterable[Path]) -> Iterator[str]:
    import yaml

    for config in configs:
        try:
            content = yaml.safe_load(config.read_text(encoding="utf-8"))
        except yaml.YAMLError:
            continue  # the parser will say where it is wrong
        if isinstance(content, dict):
            yield from _as_list(content.get("plugins"))
    values = [value for flag, value in pairwise(arguments) if flag == "--plugins"]
    values += [argument.partition("=")[2] for argument in arguments if argument.startswith("--plugins=")]
    for value in values:
        yield from _as_list(yaml.safe_load(value))


def _as_list(names: str | list[str] | None) -> list[str]:
    return [names] if isinstance(names, str) else names or []
