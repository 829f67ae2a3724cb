"""The runs of a sweep: configurations x swept values x named variants, each in its own folder.

In a sweep file, the keys below an experiment with a list of values are swept; one value is set in all of its runs.
Of a variant, `config` names a configuration to lay over the experiment, `subcommand: test` trains nothing, and the name
of an experiment holds the values that this one needs besides.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tc_clip_pl.cli.configs import find_config
from tc_clip_pl.cli.errors import UserError

RUN_FILE = "sweep_run.json"
FILE_KEYS = ("table", "configs", "settings", "variants")
JOINED = ("seed", "seed_everything", "split", "num_shots")
"""Last parts of keys that do not make a row of their own in a report: seeds are averaged, and each K is a column."""


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep.

    Attributes:
        name: Name of its folder.
        argv: Arguments of the subcommand, without the output folder.
        variant: Name of its variant, if the sweep has any.
        settings: Swept values by key.
        table: The paper's table to compare with, if any.
        subcommand: fit, which tests what it has trained, or test.
    """

    name: str
    argv: list[str]
    variant: str | None
    settings: dict[str, Any]
    table: str | None
    subcommand: str = "fit"

    def describe(self) -> dict[str, Any]:
        """Return what a report needs to know about the run, and its arguments."""
        distinguishing = {key: value for key, value in self.settings.items() if key.rpartition(".")[2] not in JOINED}
        return {"table": self.table, "method": self.variant, "settings": distinguishing, "argv": self.argv}


@dataclass(frozen=True)
class Sweep:
    """The content of a sweep file, or of the options that replace it.

    Attributes:
        name: Name of its folder.
        configs: Values of each experiment, swept if they are a list; an experiment is one or several configurations,
            later ones override.
        settings: Values that all runs share.
        variants: Named combinations of values, and what else the description of this module says.
        table: The paper's table to compare with, if any.
    """

    name: str
    configs: Mapping[tuple[str, ...], Mapping[str, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    table: str | None = None

    def runs(self, argv: Sequence[str]) -> list[SweepRun]:
        """Return all runs.

        Args:
            argv: Arguments of every run. They override what an experiment sets, and swept values and those of variants
                override them.
        """
        runs = []
        for configs, given in self.configs.items():
            grid = {key: values for key, values in given.items() if isinstance(values, list)}
            fixed = _to_argv({key: value for key, value in given.items() if key not in grid})
            for values in itertools.product(*grid.values()):
                swept = dict(zip(grid, values, strict=True))
                for variant in self.variants or [None]:
                    runs.append(self._run(configs, [*fixed, *argv], swept, variant))
        return runs

    def _run(
        self, configs: Sequence[str], argv: Sequence[str], swept: Mapping[str, Any], variant: str | None
    ) -> SweepRun:
        given = self.variants.get(variant) or {}
        overrides = {key: value for key, value in given.items() if not _is_of_experiment(key, value)}
        overrides |= given.get(_stem(configs[0]), {})
        overlays, subcommand = _as_list(overrides.pop("config", [])), overrides.pop("subcommand", "fit")
        paths = [text for name in (*configs, *overlays) for text in ("--config", str(find_config(name).resolve()))]
        argv = [*paths, *argv, *_to_argv({**self.settings, **swept, **overrides})]
        name = run_name([Path(config).stem for config in configs], swept, variant)
        return SweepRun(name, argv, variant, dict(swept), self.table, subcommand)


def read_sweep(arguments: Sequence[str], configs: Sequence[str]) -> Sweep:
    """Read the `--sweep` options.

    Args:
        arguments: Values of `--sweep`: assignments `KEY=[VALUE, ...]`, or the name of one sweep file.
        configs: Values of `--config`; they replace the experiments of the sweep file.

    Raises:
        UserError: If there is nothing to sweep, or an option or the sweep file is malformed.
    """
    grid = dict(_read_assignment(argument) for argument in arguments if _is_assignment(argument))
    files = [argument for argument in arguments if not _is_assignment(argument)]
    if len(files) > 1 or not arguments:
        raise UserError("Give one sweep file, or one or more --sweep KEY=[VALUE,...].")
    content = _read_file(find_config(files[0])) if files else {}
    experiments = {(name,): dict(values or {}) for name, values in (content.get("configs") or {}).items()}
    if configs:
        experiments = {tuple(configs): _grid_of(experiments, configs)}
    if not experiments:
        raise UserError("A sweep needs an experiment: give --config NAME.")
    stem = Path(files[0]).stem if files else "_".join([*map(_stem, configs), *(key.rpartition(".")[2] for key in grid)])
    return Sweep(
        stem,
        {names: {**own, **grid} for names, own in experiments.items()},
        content.get("settings") or {},
        content.get("variants") or {},
        content.get("table"),
    )


def run_name(configs: Sequence[str], swept: Mapping[str, Any], variant: str | None) -> str:
    """Return the folder name of a run.

    Example:
        >>> run_name(["few_shot_hmdb"], {"data.num_shots": 2}, "Bipartite, attention")
        'few_shot_hmdb,num_shots=2,Bipartite_attention'
    """
    values = [f"{key.rpartition('.')[2]}={_short(value)}" for key, value in swept.items()]
    parts = [*configs, *values, *([variant] if variant is not None else [])]
    # Spaces, brackets and quotes would need quoting in a shell.
    return ",".join(re.sub(r"[^\w.=+§-]+", "_", part).strip("_") for part in parts)


def _short(value: Any) -> str:
    return json.dumps(value).strip('"[]')


def _is_assignment(argument: str) -> bool:
    return "=" in argument


def _read_assignment(argument: str) -> tuple[str, list[Any]]:
    import yaml

    key, _, text = argument.partition("=")
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        values = None
    if not key or not isinstance(values, list) or not values:
        raise UserError(f"--sweep {argument} is not of the form KEY=[VALUE,...]; write for example data.split=[1,2,3].")
    return key.lstrip("-"), values


def _read_file(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"The sweep file {path} is not valid YAML ({error}); correct it.") from error
    unknown = set(content) - set(FILE_KEYS) if isinstance(content, dict) else {"other content"}
    if unknown:
        found = ", ".join(sorted(map(str, unknown)))
        raise UserError(f"{path} is not a sweep file: it may have {', '.join(FILE_KEYS)}, not {found}.")
    return content


def _grid_of(experiments: Mapping[tuple[str, ...], Any], configs: Sequence[str]) -> dict[str, Any]:
    """Return the swept values that a sweep file gives for a configuration, which may be named by its path."""
    return next((grid for (name,), grid in experiments.items() if _stem(name) == _stem(configs[0])), {})


def _is_of_experiment(key: str, value: Any) -> bool:
    """Return whether a value of a variant holds those for one experiment; keys of settings have dots."""
    return isinstance(value, Mapping) and "." not in key


def _as_list(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


def _stem(name: str) -> str:
    return Path(name).stem


def _to_argv(values: Mapping[str, Any]) -> list[str]:
    """Return the arguments that set keys to values."""
    # A string goes as it is; JSON, which is valid YAML, spells everything else the way jsonargparse reads it.
    pairs = ((f"--{key}", value if isinstance(value, str) else json.dumps(value)) for key, value in values.items())
    return [text for pair in pairs for text in pair]
