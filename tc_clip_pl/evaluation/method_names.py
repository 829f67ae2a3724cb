"""Names for the rows of a report: runs share a name only if nothing but seeds and splits tells them apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from tc_clip_pl.evaluation.run_identity import FinishedRun, flatten

DEFAULT_METHOD = "TC-CLIP"


def name_methods(runs: Sequence[FinishedRun]) -> list[str]:
    """Name each run by its method and by the settings that differ between the runs of this method.

    The method is the one that its sweep or its configuration names. The architecture is compared between all of its
    runs; the recipe, the views and the like between those of the same protocol, as each protocol has its own recipe.

    Example:
        If only one of two runs sets `tc_layers`, they are named "tc_layers=[4, 8, 12]" and "TC-CLIP".
    """
    methods = [run.method or run.config.get("method") or "" for run in runs]
    # A named variant of a sweep is known by its name: its architecture needs no listing.
    of_method = [({} if run.method else run.architecture()) | flatten(run.settings) for run in runs]
    recipes = _recipes(runs)
    of_protocol = [run.architecture() | recipe | run.test_settings() for run, recipe in zip(runs, recipes, strict=True)]
    protocols = [(method, run.protocol) for method, run in zip(methods, runs, strict=True)]
    cells = [[(method, *cell) for cell in _cells(run)] for method, run in zip(methods, runs, strict=True)]
    lists = [
        {(method, *key): sha for key, sha in run.lists().items()} for method, run in zip(methods, runs, strict=True)
    ]
    sources = zip(
        _differing(of_method, methods),
        _differing(of_protocol, protocols),
        _conflicts("protocol", [dict.fromkeys(of, run.protocol) for of, run in zip(cells, runs, strict=True)]),
        _conflicts("list", lists),
        strict=True,
    )
    differences = [{key: text for found in each for key, text in found.items()} for each in sources]
    texts = [[name, *(f"{k}={v}" for k, v in found.items())] for name, found in zip(methods, differences, strict=True)]
    return [", ".join(filter(None, text)) or DEFAULT_METHOD for text in texts]


def _recipes(runs: Sequence[FinishedRun]) -> list[dict[str, str]]:
    """Return the recipe of each run; that of a checkpoint is the same however often it is tested."""
    recipes: dict[Any, dict[str, str]] = {}
    return [recipes.setdefault(run.checkpoint or number, run.recipe()) for number, run in enumerate(runs)]


def _differing(settings: Sequence[dict[str, str]], groups: Sequence[Any]) -> list[dict[str, str]]:
    """Return the settings of each run that are not the same in its whole group."""
    found: list[dict[str, str]] = [{} for _ in settings]
    frame = pd.DataFrame(settings, index=range(len(settings)))  # NaN where a run lacks a setting of another
    for group in dict.fromkeys(groups):
        of_group = frame.loc[[number for number, other in enumerate(groups) if other == group]]
        # dropna=False: that only some runs have a setting is a difference too.
        for number, row in of_group.loc[:, of_group.nunique(dropna=False) > 1].iterrows():
            found[number] = row.dropna().to_dict()
    return found


def _conflicts(name: str, values: Sequence[dict[Any, str]]) -> list[dict[str, str]]:
    """Return each run's value under a key for which another run has another value, as the setting `name`."""
    seen: dict[Any, set[str]] = {}
    for of_run in values:
        for key, value in of_run.items():
            seen.setdefault(key, set()).add(value)
    conflicting = [[value for key, value in of_run.items() if len(seen[key]) > 1] for of_run in values]
    return [{name: found[0]} if found else {} for found in conflicting]


def _cells(run: FinishedRun) -> Iterable[tuple[Any, ...]]:
    """Yield what selects the cells of a report that a run counts in."""
    for each in run.results["runs"]:
        for entry in each["test_sets"].values():
            part = "split" if entry["part"].startswith("split") else entry["part"]  # splits share a cell
            yield entry["dataset"], part, run.num_shots
