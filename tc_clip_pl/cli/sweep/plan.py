"""Which runs a sweep has: configurations x swept values x named variants, each with a folder of its own."""

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
"""Keys (their last parts) whose values a report joins in one row: seeds are averaged, K has columns of its own."""


@dataclass(frozen=True)
class SweepRun:
    """One run of a sweep.

    Attributes:
        name: Of its folder, and for people.
        words: Those of `tcclip fit`, but for the output folder.
        variant: Its named variant, if the sweep has such.
        settings: The swept values by key.
        table: The paper's table that the sweep is for.
    """

    name: str
    words: list[str]
    variant: str | None
    settings: dict[str, Any]
    table: str | None

    def describe(self) -> dict[str, Any]:
        """What a report must know of the run, and what it was called with."""
        telling = {key: value for key, value in self.settings.items() if key.rpartition(".")[2] not in JOINED}
        return {"table": self.table, "method": self.variant, "settings": telling, "words": self.words}


@dataclass(frozen=True)
class Sweep:
    """What a sweep file or the command line asks for.

    Attributes:
        name: Of its folder.
        configs: Experiments (each one or several files laid over each other) with the values that each is swept over.
        settings: Values that all runs have in common.
        variants: Named combinations of values.
        table: The paper's table that the report lays the results beside.
    """

    name: str
    configs: Mapping[tuple[str, ...], Mapping[str, Sequence[Any]]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    table: str | None = None

    def runs(self, words: Sequence[str]) -> list[SweepRun]:
        """All runs.

        Args:
            words: Options for every run; what is swept comes after them.
        """
        runs = []
        for configs, grid in self.configs.items():
            paths = [word for name in configs for word in ("--config", str(find_config(name).resolve()))]
            for values in itertools.product(*grid.values()):
                swept = dict(zip(grid, values, strict=True))
                for variant, overrides in (self.variants or {None: {}}).items():
                    changes = _as_words({**self.settings, **swept, **overrides})
                    name = run_name([Path(config).stem for config in configs], swept, variant)
                    runs.append(SweepRun(name, [*paths, *words, *changes], variant, swept, self.table))
        return runs


def read_sweep(arguments: Sequence[str], configs: Sequence[str]) -> Sweep:
    """Understand the `--sweep` options.

    Args:
        arguments: `KEY=[VALUE, ...]` each, or one name of a sweep file.
        configs: Those named by `--config`; they take the place of the sweep file's.

    Raises:
        UserError: If there is nothing to sweep, or it is written wrongly.
    """
    grid = dict(_read_assignment(argument) for argument in arguments if _is_assignment(argument))
    files = [argument for argument in arguments if not _is_assignment(argument)]
    if len(files) > 1 or not arguments:
        raise UserError("Give one sweep file, or one or several --sweep KEY=[VALUE,...].")
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
    """A folder name that says what a run is.

    Example:
        >>> run_name(["few_shot_hmdb"], {"data.num_shots": 2}, "Bipartite, attention")
        'few_shot_hmdb,num_shots=2,Bipartite_attention'
    """
    values = [f"{key.rpartition('.')[2]}={_short(value)}" for key, value in swept.items()]
    words = [*configs, *values, *([variant] if variant is not None else [])]
    return ",".join(re.sub(r"[^\w.=+§-]+", "_", word).strip("_") for word in words)


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
        raise UserError(f"--sweep {argument} is no KEY=[VALUE,...], such as data.split=[1,2,3].")
    return key.lstrip("-"), values


def _read_file(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"The sweep file {path} is no valid YAML ({error}); correct it.") from error
    unknown = set(content) - set(FILE_KEYS) if isinstance(content, dict) else {"what it holds"}
    if unknown:
        raise UserError(f"{path} is no sweep file: it may have {', '.join(FILE_KEYS)}, not {', '.join(unknown)}.")
    return content


def _grid_of(experiments: Mapping[tuple[str, ...], Any], configs: Sequence[str]) -> dict[str, Any]:
    """What a sweep file sweeps a configuration over, told by its name."""
    return next((grid for (name,), grid in experiments.items() if _stem(name) == _stem(configs[0])), {})


def _stem(name: str) -> str:
    return Path(name).stem


def _as_words(values: Mapping[str, Any]) -> list[str]:
    """Command-line words that set keys to values."""
    pairs = ((f"--{key}", value if isinstance(value, str) else json.dumps(value)) for key, value in values.items())
    return [word for pair in pairs for word in pair]
