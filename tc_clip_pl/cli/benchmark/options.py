"""Parses the arguments of `tcclip benchmark`: a model as `tcclip fit` takes it, and what to measure it with."""

from __future__ import annotations

import json
from argparse import ArgumentError
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tc_clip_pl.cli.config_args import configs_first, read_config
from tc_clip_pl.cli.configs import DEFAULTS, shipped_config_folder
from tc_clip_pl.cli.errors import UserError, ended, explain_parser_error, suggest

if TYPE_CHECKING:
    import torch
    from jsonargparse import ArgumentParser, Namespace

    from tc_clip_pl.benchmarks.settings import Settings
    from tc_clip_pl.modules.config import TCCLIPConfig
    from tc_clip_pl.training.optimizer import OptimizerFactory

BASE = "openai/clip-vit-base-patch16"
WHAT = ("model", "train", "latency", "data", "attention", "matching")
BATCH_SIZES = {"cuda": {"latency": [1], "model": [1, 8, 32]}, "cpu": {}}
"""Default batch sizes where they are not those below, by device and benchmark."""
NUMBERS = {
    **dict.fromkeys(("model", "train", "latency"), ("batch_size", "num_frames", "num_classes")),
    **dict.fromkeys(("attention", "matching"), ("batch_size", "num_frames")),
    "data": (),
}
"""Options with one number or more, by benchmark."""
USUAL_BATCH_SIZES = {"cuda": [8, 32], "cpu": [1]}
Sections = dict[str, Any]


def split_what(argv: list[str]) -> tuple[str, list[str]]:
    """Return which benchmark the arguments name, and the other arguments.

    Raises:
        UserError: There is no such benchmark.
    """
    name, *rest = argv or [""]
    if name not in WHAT:
        known = f"choose one of {', '.join(WHAT)}"
        given = (
            f"There is no benchmark {name!r}" if name and not name.startswith("-") else "No benchmark is named first"
        )
        raise UserError(ended(f"{given}: {known}{suggest(name, WHAT)}"))
    return name, rest


def read_sections(argv: list[str]) -> tuple[Sections, list[str]]:
    """Merge the configurations among the arguments, the defaults of every run first.

    Returns:
        The merged content, and the other arguments.

    Raises:
        UserError: A configuration is not found, or is no YAML.
    """
    options, paths = configs_first(argv)
    merged: Sections = {}
    for path in (shipped_config_folder() / DEFAULTS, *paths):
        merged = _merge(merged, read_config(path))
    return merged, options[2 * len(paths) :]


def add_options(parser: ArgumentParser, what: str) -> None:
    """Add the options that a benchmark reads."""
    from tc_clip_pl.modules.acceleration import Kernels
    from tc_clip_pl.training.build import ModelOptions

    parser.add_argument("--model.pretrained", type=str, default=BASE)
    parser.add_class_arguments(ModelOptions, "model.config")
    if what == "train":
        parser.add_argument("--model.checkpoint_activations", type=bool, default=False)
    parser.add_argument("--kernels", type=Kernels, nargs="+")
    for name in NUMBERS[what]:
        parser.add_argument(f"--{name}", type=int, nargs="+")
    if what == "data":
        parser.add_argument("--clips", type=int, default=64)
        parser.add_argument("--step", type=bool | None)
    else:
        parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--device", type=Literal["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--output", type=str | None)
    parser.add_argument("--format", type=Literal["table", "markdown", "json"], default="table")


def model_arguments(sections: Sections, trains: bool = False) -> list[str]:
    """Return the model of the configurations as arguments, for those of the command line to follow."""
    model = sections["model"]
    values = {"pretrained": model["pretrained"]}
    if trains:
        values["checkpoint_activations"] = model.get("checkpoint_activations", False)
    values |= {f"config.{name}": value for name, value in (model.get("config") or {}).items()}
    # Words as they are: the parser would take the quotes of JSON for part of them.
    return [f"--model.{name}={v if isinstance(v, str) else json.dumps(v)}" for name, v in values.items()]


def parse_options(what: str, sections: Sections, arguments: list[str]) -> Namespace:
    """Parse the arguments of a benchmark without data.

    Raises:
        UserError: An option is unknown, or a value of another type.
    """
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    add_options(parser, what)
    if about_data := next((argument for argument in arguments if argument.startswith("--data")), None):
        raise UserError(f"{about_data.partition('=')[0]} is for `tcclip benchmark data`; {what} reads no videos.")
    try:
        options = parser.parse_args([*model_arguments(sections, what == "train"), *arguments])
    except ArgumentError as error:
        raise UserError(explain_parser_error(error.message, parser.get_defaults().keys())) from error
    check_numbers(options)
    return options


def check_numbers(options: Namespace) -> None:
    """Check that all numbers are positive.

    Raises:
        UserError: One is not.
    """
    for name in ("batch_size", "num_frames", "num_classes", "repeats", "clips"):
        given = options.get(name)
        for number in given if isinstance(given, list) else [1 if given is None else given]:
            if number < 1:
                raise UserError(f"--{name} is {number}; it must be at least 1.")


def build_settings(what: str, options: Namespace, sections: Sections) -> Settings:
    """Build what the benchmarks of models take.

    Raises:
        UserError: There is no GPU.
        ValueError: The model cannot be built.
    """
    from tc_clip_pl.benchmarks.kernels import available_kernels
    from tc_clip_pl.benchmarks.settings import Settings

    device = choose_device(options.device)
    config = build_config(options, sections)
    default_kernels = available_kernels(device) if what in ("attention", "matching") else ("auto",)
    default_sizes = BATCH_SIZES[device.type].get(what, USUAL_BATCH_SIZES[device.type])
    return Settings(
        config=config,
        device=device,
        kernels=tuple(options.kernels or default_kernels),
        batch_sizes=tuple(options.batch_size or default_sizes),
        num_frames=tuple(options.num_frames or [config.num_frames]),
        num_classes=tuple(options.get("num_classes") or [400]),
        repeats=options.repeats,
        warm_up=3 if device.type == "cuda" else 1,
        recomputes=options.model.get("checkpoint_activations", False),
    )


def build_config(options: Namespace, sections: Sections) -> TCCLIPConfig:
    """Build the configuration of the model: its CLIP's sizes, known or read, and the options that are set."""
    from tc_clip_pl.modules.backbone.interface import backbone_options
    from tc_clip_pl.modules.config import TCCLIPConfig
    from tc_clip_pl.modules.loading import read_config as read_model
    from tc_clip_pl.modules.names import locate

    clip = options.model.pretrained
    changes = {name: value for name, value in options.model.config.as_dict().items() if value is not None}
    if frames := (sections.get("data") or {}).get("init_args", {}).get("num_frames"):
        changes.setdefault("num_frames", frames)
    if not Path(locate(clip)).is_dir():
        return TCCLIPConfig(**backbone_options(clip), **changes)
    return TCCLIPConfig.from_dict({**read_model(clip), "model_type": TCCLIPConfig.model_type, **changes})


def choose_device(name: str) -> torch.device:
    """Return the device of a name; `auto` is a GPU if there is one.

    Raises:
        UserError: There is no GPU.
    """
    import torch

    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise UserError("--device is cuda, but torch finds no GPU here: leave the option out to measure the CPU.")
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")


def build_optimizer_factory(sections: Sections) -> OptimizerFactory:
    """Return the optimizer that the configurations name, with all but its parameters filled in."""
    settings = sections["model"]["optimizer"]
    module, _, name = settings["class_path"].rpartition(".")
    return partial(getattr(import_module(module or "torch.optim"), name), **settings.get("init_args", {}))


def _merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> Sections:
    """Return both, level by level; the second wins."""
    merged = dict(first)
    for key, value in second.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
