"""What happens to the command line before it is parsed: configurations are found, plugins imported."""

import json
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from tc_clip_pl.cli.configs import find_config
from tc_clip_pl.cli.errors import UserError

TC_CLIP = "tc_clip"
SECTIONS = ("model", "trainer", "ensembling")  # not `data`, which may be no more than the name of a class


def configs_first(arguments: list[str]) -> tuple[list[str], list[Path]]:
    """Find the named configurations and move them ahead of the options that change them.

    Args:
        arguments: Options of a subcommand, with `--config NAME` (or `-c`, or with `=`) anywhere among them.

    Returns:
        The same options with `--config PATH` first, and those paths in their order.

    Raises:
        UserError: If a configuration is not found or is not usable, or `--config` has no value.
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
        read_config(paths[-1])  # jsonargparse would not name the file that is wrong
    return [part for path in paths for part in ("--config", str(path))] + rest, paths


def without_other_options(options: list[str], configs: list[Path]) -> list[str]:
    """Leave TC-CLIP's options in an experiment alone where another configuration selects another system.

    The sizes of `demo.yaml`, for example, mean nothing to an A5. Options of the command line are kept: `build_module`
    refuses them.

    Args:
        options: Options of a subcommand, configurations first.
        configs: These configurations.
    """
    models = [read_config(config).get("model") or {} for config in configs]
    systems = [model["system"] for model in models if "system" in model]
    if not systems or systems[-1] == TC_CLIP:
        return options
    names = dict.fromkeys(name for model in models if "system" not in model for name in model.get("config") or {})
    ahead = 2 * len(configs)
    return [*options[:ahead], *(f"--model.config.{name}=null" for name in names), *options[ahead:]]


def classes_to_data(options: list[str]) -> list[str]:
    """Turn `--classes "a, b"` into the options of a folder of unlabeled videos, which has no class folders.

    Args:
        options: Options of `predict`, configurations first.

    Raises:
        UserError: If `--classes` names none.
    """
    rest, names, remaining = [], None, iter(options)
    for option in remaining:
        flag, has_value, value = option.partition("=")
        if flag == "--classes":
            names = [name.strip() for name in (value if has_value else next(remaining, "")).split(",") if name.strip()]
        else:
            rest.append(option)
    if names is None:
        return rest
    if not names:
        raise UserError('--classes needs names separated by commas, such as --classes "running, jumping".')
    ahead = 0  # behind the configurations, whose dataset it replaces, and ahead of the options that change it
    while rest[ahead : ahead + 1] == ["--config"]:
        ahead += 2
    data = ["--data", "datamodules.FolderDataModule", "--data.classes", json.dumps(names)]
    # `--data CLASS` forgets the arguments of another class, so it has to precede every `--data.KEY`.
    return [*rest[:ahead], *data, *rest[ahead:]]


def read_config(path: Path) -> dict[str, Any]:
    """Read a configuration without checking its keys.

    Raises:
        UserError: If it is not a text file, not YAML, empty, or not made of `KEY: VALUE`; with file and line.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"The configuration {path} is not a text file in UTF-8; give a YAML file.") from error
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        place = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"The configuration {path}{place}, is not valid YAML ({problem}); correct it.") from error
    if content is None:
        raise UserError(f"The configuration {path} is empty; start from a shipped one (`tcclip configs` lists them).")
    if not isinstance(content, dict):
        raise UserError(f"The configuration {path} holds no `KEY: VALUE`; compare a shipped one (`tcclip configs`).")
    for section in set(SECTIONS) & set(content):
        if not isinstance(content[section], dict):
            raise UserError(f"{section} in {path} takes keys of its own, not {content[section]!r}.")
    return content


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
        yield from _as_list(read_config(config).get("plugins"))
    values = [value for flag, value in pairwise(arguments) if flag == "--plugins"]
    values += [argument.partition("=")[2] for argument in arguments if argument.startswith("--plugins=")]
    for value in values:
        try:
            yield from _as_list(yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise UserError(f"--plugins takes a package, or a list such as [one,two], not {value}.") from error


def _as_list(names: Any) -> list[str]:
    names = [names] if isinstance(names, str) else names or []
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise UserError(f"plugins takes names of packages, not {names!r}.")
    return names
