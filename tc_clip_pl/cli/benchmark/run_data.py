"""Runs `tcclip benchmark data` on the data of a run, or on generated films."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.base import VideoDataModule
from datamodules.suite import EvaluationSuite
from datamodules.synthetic.actions import SEEN
from datamodules.synthetic.write_dataset import write_synthetic_dataset
from tc_clip_pl.benchmarks.data import EPOCHS, STAGES, Step, benchmark_data, build_step, thin_out
from tc_clip_pl.cli.benchmark.options import (
    Sections,
    add_options,
    build_config,
    build_optimizer_factory,
    check_numbers,
    choose_device,
    model_arguments,
)
from tc_clip_pl.cli.benchmark.record import collect, describe_run
from tc_clip_pl.cli.data_module import build_data_parser, parse_data_args, spinner
from tc_clip_pl.cli.errors import UserError

if TYPE_CHECKING:
    import torch
    from jsonargparse import Namespace
    from lightning.pytorch import LightningDataModule

    from tc_clip_pl.modules.config import TCCLIPConfig

FILM_SIZE, FILM_ACTIONS, FILMS = 128, 8, 8  # pixels; actions; films of each: seconds to write


def run_data(what: str, argv: list[str], sections: Sections, arguments: list[str]) -> tuple[dict[str, Any], str]:
    """Run the benchmark.

    Args:
        what: "data".
        argv: The command line, after `tcclip benchmark`.
        sections: The merged configurations.
        arguments: Options, with the configurations.

    Returns:
        The record, and the format to print it in.

    Raises:
        UserError: The arguments are wrong, or the output cannot be written.
        DataError: The data cannot be read.
    """
    parser = build_data_parser()
    add_options(parser, what)
    with tempfile.TemporaryDirectory() as folder:
        films = [] if _names_data(sections, arguments) else _films_arguments(Path(folder))
        parsed, options = parse_data_args(parser, [*model_arguments(sections), *films, *arguments])
        check_numbers(options)
        device, data = choose_device(options.device), _training_data(parsed)
        sections = {**sections, "data": {"init_args": {"num_frames": data.options.num_frames}}}
        config = build_config(options, sections)
        data = data.with_options(replace(data.options, image_size=config.vision_config.image_size))
        if films:
            with spinner("Writing films"):
                write_synthetic_dataset(data.request.root, SEEN[:FILM_ACTIONS], (), FILMS, 1, FILM_SIZE)
        with spinner("Finding the clips"):
            data.setup("fit")
        thin_out(data, options.clips)
        step = _build_step(options, sections, config, data, device)
        rows = benchmark_data(data, device, step)
        record = describe_run(what, argv, device) | {"model": options.model.pretrained, "peak": None}
        record["data"] = _describe(data)
        return collect(rows, len(EPOCHS) + len(STAGES), record, options.output), options.format


def _names_data(sections: Sections, arguments: list[str]) -> bool:
    return "data" in sections or any(argument == "--data" or argument.startswith("--data=") for argument in arguments)


def _films_arguments(folder: Path) -> list[str]:
    """Return the arguments for films that are yet to be written."""
    return ["--data", "SyntheticFilesDataModule", f"--data.root={folder / 'films'}"]


def _training_data(data: LightningDataModule) -> VideoDataModule:
    """Return what a run would train on.

    Raises:
        UserError: It has no training clips, or reads no files.
    """
    trained = data.train if isinstance(data, EvaluationSuite) else data
    if not isinstance(trained, VideoDataModule):
        name = type(trained).__name__
        raise UserError(
            "This suite has no dataset to train on; give --data.train."
            if trained is None
            else f"{name} reads no video files: choose data that does, such as --data SyntheticFilesDataModule."
        )
    return trained


def _build_step(
    options: Namespace, sections: Sections, config: TCCLIPConfig, data: VideoDataModule, device: torch.device
) -> Step | None:
    """Build the training step if there is to be one: by default on a GPU, since on a CPU it competes with decoding.

    Raises:
        UserError: Kernels are given, but nothing runs with them.
    """
    if not (device.type == "cuda" if options.step is None else options.step):
        if options.kernels:
            raise UserError("--kernels are those of the training step; add --step true.")
        return None
    kernels = options.kernels or ["auto"]
    if len(kernels) > 1:
        raise UserError(f"The training step takes one of the --kernels, not {len(kernels)}; choose one.")
    return build_step(config, kernels[0], data.num_classes, build_optimizer_factory(sections), device)


def _describe(data: VideoDataModule) -> dict[str, Any]:
    loader, settings = data.train_dataloader(), data.options
    return {
        "name": data.name,
        "clips": len(data.datasets["train"]),
        "batch_size": settings.batch_size,
        "num_frames": settings.num_frames,
        "image_size": settings.image_size,
        "num_workers": loader.num_workers,
        "decoder": settings.decoder,
    }
