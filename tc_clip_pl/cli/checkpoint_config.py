"""What a checkpoint says about its run, and how it goes together with the configuration of another one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from datamodules.options import ClipOptions
from datamodules.shards.stores import is_url
from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.modules.loading import identify_clip
from tc_clip_pl.training.build import TC_CLIP
from tc_clip_pl.training.checkpoint import CheckpointFacts, check_settings, contradiction, plain, read_facts

RECORDED_SECTIONS = ("seed_everything", "protocol", "method", "plugins", "ensembling", "model", "data")
RECORDED_TRAINER = ("max_epochs", "max_steps", "precision")  # the rest depends on the machine
INPUT_OPTIONS = ("num_frames", "mean", "std")
"""Options of the data that belong to the model: a test with others is the test of another model."""
PATH_OPTIONS = ("root", "splits_dir", "label_file", "labels", "train_list", "test_list")
"""Options of the data that name files or folders."""


def find_checkpoint(options: list[str]) -> str | None:
    """Return the value of `--ckpt_path`, the last one if there are several."""
    given = [value for flag, value in pairwise(options) if flag == "--ckpt_path"]
    given += [option.partition("=")[2] for option in options if option.startswith("--ckpt_path=")]
    return given[-1] if given else None


def recorded_run(ckpt_path: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the configuration of the run that wrote a checkpoint.

    Raises:
        UserError: If the checkpoint does not record them.
        FileNotFoundError, ValueError: If it is not a checkpoint.
    """
    facts = read_facts(ckpt_path)
    if facts.run is None:
        raise UserError(f"{_describe_missing(facts)}: give the configuration of its run by --config NAME.")
    config = {key: value for key, value in facts.run["config"].items() if key != "trainer"}
    # The run may have named its CLIP relative to another directory than this one.
    clip = facts.model.get("clip_name_or_path") or config["model"]["pretrained"]
    return facts.run["name"], {**config, "model": {**config["model"], "pretrained": clip}}


def record_run(name: str, config: Mapping[str, Any], command: list[str]) -> dict[str, Any]:
    """Collect what a checkpoint keeps of a run: enough to test it again, without callbacks and loggers.

    Args:
        name: Name of the experiment.
        config: The whole configuration, as plain values.
        command: The command line.
    """
    kept = {key: config.get(key) for key in RECORDED_SECTIONS}
    kept["data"] = _with_absolute_paths(kept["data"])  # a test may start in another directory
    kept["trainer"] = {key: (config.get("trainer") or {}).get(key) for key in RECORDED_TRAINER}
    return {"name": name, "config": json.loads(json.dumps(kept, default=str)), "command": list(command)}


def _with_absolute_paths(data: Any) -> Any:
    """Return options of the data with absolute paths, also those of the datasets of a suite."""
    if not isinstance(data, Mapping):
        return data
    return {
        key: os.path.abspath(Path(value).expanduser())
        if key in PATH_OPTIONS and isinstance(value, str) and not is_url(value)
        else _with_absolute_paths(value)
        for key, value in data.items()
    }


def adopt_checkpoint(config: Namespace, facts: CheckpointFacts, default_clip: str) -> list[str]:
    """Take the model of a run, and what its input looks like, from a checkpoint.

    Args:
        config: The configuration of the run, changed in place.
        facts: The checkpoint.
        default_clip: `model.pretrained` where nobody has set it.

    Returns:
        Sentences for the user: what was taken over silently otherwise, and what the checkpoint does not record.

    Raises:
        UserError: If a setting contradicts the checkpoint, naming both values.
        OSError, ValueError: If the CLIP that the configuration names cannot be read.
    """
    try:
        check_settings(vars(config.model.config), facts)
    except ValueError as error:
        raise UserError(str(error)) from error
    if config.model.system == TC_CLIP and facts.model["model_type"] != TC_CLIP:  # the default, with its own options
        config.model.system = facts.model["model_type"]
        config.model.config = Namespace(dict.fromkeys(vars(config.model.config)))
    config.model.pretrained = _choose_clip(config.model.pretrained, default_clip, facts)
    run = facts.run["config"] if facts.run else {}
    for name, value in (run.get("model") or {}).get("config", {}).items():
        config.model.config[name] = value
    if config.method is None:
        config.method = run.get("method")
    notes = [] if not facts.missing else [f"{_describe_missing(facts)}: that part of the configuration is not checked."]
    return notes + _adopt_input(config.data.get("init_args") or {}, run.get("data") or {}, facts)


def _choose_clip(given: str, default: str, facts: CheckpointFacts) -> str:
    """Return where the checkpoint's CLIP is: where the run found it, or a copy that the configuration names."""
    stored, sha256 = facts.model.get("clip_name_or_path"), facts.model.get("clip_sha256")
    if stored is None or sha256 is None:
        return given
    is_same_place = given == stored or (Path(given).exists() and str(Path(given).resolve()) == stored)
    if given == default or is_same_place:
        return stored
    if (found := identify_clip(given)) != sha256:
        raise UserError(
            f"model.pretrained is {given} (SHA-256 {(found or 'unknown')[:12]}), but {facts.path} was trained from "
            f"{stored} (SHA-256 {sha256[:12]}): leave the setting out, or name a copy of that CLIP."
        )
    return given


def _adopt_input(data: Any, recorded: Mapping[str, Any], facts: CheckpointFacts) -> list[str]:
    notes = []
    defaults = {field.name: field.default for field in fields(ClipOptions)}
    stored_input = {**(recorded.get("init_args") or {}), "num_frames": facts.model["num_frames"]}
    for name in INPUT_OPTIONS:
        if name not in data or name not in stored_input:
            continue
        given, stored = plain(data[name]), plain(stored_input[name])
        if given == stored:
            continue
        # A parsed configuration has every default filled in, so that a default counts as "not set".
        if given != plain(defaults[name]):
            raise UserError(contradiction(f"data.{name}", given, stored, facts.path))
        data[name] = stored_input[name]
        notes.append(f"data.{name}={stored}, as {facts.path} was trained.")
    return notes


def _describe_missing(facts: CheckpointFacts) -> str:
    return f"{facts.path} was written by an earlier version and does not record {' or '.join(facts.missing)}"


def describe_training(facts_or_run: Mapping[str, Any] | None, class_names: list[str] | None) -> dict[str, Any]:
    """Return what a report says about the training: what a test cannot change.

    Args:
        facts_or_run: The recorded run: `name`, `config` and `command`; None if the checkpoint has none.
        class_names: Names of the classes trained on.
    """
    config = (facts_or_run or {}).get("config")
    if not config:
        return {}
    model, data = config["model"], (config["data"] or {}).get("init_args") or {}
    trained_on = (data.get("train") or {}).get("init_args") or data  # of a suite
    return {
        "seed": config["seed_everything"],
        "data_seed": data.get("seed"),
        "num_shots": trained_on.get("num_shots"),
        "split": trained_on.get("split"),
        "setting": trained_on.get("setting"),
        "num_classes": len(class_names) if class_names else None,
        "global_batch_size": data.get("global_batch_size"),
        **config["trainer"],
        **{
            key: model.get(key)
            for key in ("optimizer", "lr_scheduler", "prompting_lr_factor", "positions_lr_factor", "label_smoothing")
        },
        **{key: model.get(key) for key in ("freeze", "init_from")},
    }
