"""Whether a checkpoint is scored on the classes that it was trained on, where its data is the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_info

from datamodules.base import VideoDataModule
from datamodules.datasets.csv_list import CSVDataModule
from datamodules.datasets.folder import FolderDataModule
from datamodules.suite import EvaluationSuite
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.training.checkpoint import CheckpointFacts
from tc_clip_pl.training.class_names import first_difference

ANY_DATASET = (FolderDataModule, CSVDataModule)
"""Data modules for any dataset: it is the root that tells two datasets apart."""


def check_tested_classes(data: LightningDataModule, facts: CheckpointFacts, subcommand: str) -> None:
    """Compare the class names that a run scores with those of its checkpoint, for data that it was trained on.

    Other datasets, and other settings of the same one, may have other classes: that is a zero-shot test.

    Args:
        data: The data module or suite, not set up.
        facts: The checkpoint.
        subcommand: validate, test or predict.

    Raises:
        UserError: Naming the first difference.
        DataError: If the class names cannot be read.
    """
    trained = _trained_data(facts)
    for member in _scored_members(data, subcommand) if facts.class_names and trained else ():
        if _is_same_kind(member, trained) and (found := first_difference(member.class_names, facts.class_names)):
            _report(member, trained, facts.path, *found)


def _report(
    member: VideoDataModule, trained: Mapping[str, Any], path: Path, number: int, given: str, stored: str
) -> None:
    root = member.request.root
    if isinstance(member, ANY_DATASET) and _absolute(root) != _absolute(trained.get("root")):
        rank_zero_info(f"The classes of {root} are not those trained on: class {number} is {given}, not {stored}.")
        return
    raise UserError(
        f"Class {number} of {member.name} is {given}, but {path} was trained with {stored} there: give the names "
        "and the order of its training."
    )


def _trained_data(facts: CheckpointFacts) -> dict[str, Any]:
    """Return the recorded options of the dataset trained on, with its `class_path`; nothing if there are none."""
    data: Mapping[str, Any] = (facts.run["config"].get("data") if facts.run else None) or {}
    data = (data.get("init_args") or {}).get("train") or data  # of a suite
    return {"class_path": data["class_path"], **(data.get("init_args") or {})} if data else {}


def _scored_members(data: LightningDataModule, subcommand: str) -> list[VideoDataModule]:
    if isinstance(data, EvaluationSuite):
        tests = list(data.tests.values())
        members = {"validate": data.members[:1], "predict": tests[:1]}.get(subcommand, tests)
    else:
        members = [data] if isinstance(data, VideoDataModule) else []
    return [member for member in members if not getattr(member, "classes", None)]  # unlabeled videos


def _is_same_kind(member: VideoDataModule, trained: Mapping[str, Any]) -> bool:
    name, setting = trained["class_path"].rpartition(".")[2], trained.get("setting", "standard")
    return type(member).__name__ == name and member.request.setting == setting


def _absolute(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path).expanduser().resolve()
