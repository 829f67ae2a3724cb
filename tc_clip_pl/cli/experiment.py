"""`tcclip fit|validate|test|predict`: one experiment from a configuration to its results."""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Mapping
from typing import Any, Literal

import torch
from jsonargparse.typing import PositiveInt
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, ProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from tc_clip_pl.cli.config_args import classes_to_data, configs_first, import_plugins
from tc_clip_pl.cli.configs import DEFAULTS, shipped_config_folder
from tc_clip_pl.cli.data_module import find_data_modules
from tc_clip_pl.cli.errors import UserError, explain_parser_error
from tc_clip_pl.cli.library_logging import silence_library_logs
from tc_clip_pl.cli.run_folder_notes import RunFolderNotes
from tc_clip_pl.cli.write_outputs import run_folder, write_predictions, write_report
from tc_clip_pl.evaluation.paper_tables import paper_layout
from tc_clip_pl.evaluation.results import EvaluationRun
from tc_clip_pl.training.accumulation import GlobalBatchSize
from tc_clip_pl.training.build import build_module, read_image_size
from tc_clip_pl.training.checkpoint import read_checkpoint
from tc_clip_pl.training.monitoring import SkippedClips
from tc_clip_pl.training.weight_ensembling import WeightSpaceEnsemble

SWITCHES: dict[str, type[Callback]] = {
    "enable_checkpointing": ModelCheckpoint,
    "enable_progress_bar": ProgressBar,
    "logger": LearningRateMonitor,
}
"""Flags of the Trainer, and the callbacks that it refuses where they are off."""


def run_experiment(argv: list[str]) -> None:
    """Run one of the Trainer's subcommands.

    Args:
        argv: The subcommand and its options.

    Raises:
        UserError: If the configuration is wrong.
        ValueError, OSError: If the data, the model or the checkpoint is.
    """
    options, configs = configs_first(argv[1:])
    name = configs[0].stem if configs else "experiment"
    if argv[0] == "predict":
        options = classes_to_data(options)
    silence_library_logs()
    find_data_modules()  # jsonargparse resolves a bare class name only among classes that are already imported
    import_plugins(options, configs)
    if "--help-all" in options:
        options = ["--help"]
    try:
        TCCLIPCLI(name, [argv[0], *options])
    except MisconfigurationException as error:
        raise UserError(str(error)) from error


class TCCLIPCLI(LightningCLI):
    """LightningCLI with this project's model, defaults and tests.

    Args:
        experiment_name: Folder of the outputs, below `--output_dir`.
        args: The subcommand and its options.
    """

    def __init__(self, experiment_name: str, args: list[str]) -> None:
        self.experiment_name, self.chosen_subcommand, self.argv = experiment_name, args[0], args
        strict = {"exit_on_error": False, "allow_abbrev": False}
        defaults = {"default_config_files": [str(shipped_config_folder() / DEFAULTS)]}
        super().__init__(
            build_module,
            LightningDataModule,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            parser_kwargs={**strict, self.chosen_subcommand: {**strict, **defaults}},
            args=args,
        )

    # Configuration

    def subcommands(self) -> dict[str, set[str]]:
        """Return the chosen one only: building the parsers of the others takes a second."""
        return {self.chosen_subcommand: super().subcommands()[self.chosen_subcommand]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what belongs to the experiment rather than to the Trainer, the model or the data."""
        parser.add_argument("--output_dir", default="outputs", help="Each run makes a new folder in here.")
        parser.add_argument("--protocol", type=str | None, help="Table of the paper that lays out the results.")
        parser.add_argument("--method", type=str | None, help="Name of the model in reports.")
        parser.add_argument("--plugins", type=list[str] | str, default=[], help="Packages to import first.")
        if self.chosen_subcommand == "predict":
            parser.add_argument(
                "--top", type=PositiveInt | Literal["all"], default=3, help="Classes to write per clip."
            )
        parser.add_lightning_class_args(WeightSpaceEnsemble, "ensembling")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse the command line.

        Raises:
            UserError: If it does not parse, in one sentence, with the nearest name for an unknown key.
        """
        try:
            self.config = parser.parse_args(args)
        except ArgumentError as error:
            # Without validation: a default such as the missing data would fail it and hide the user's own mistake.
            known = self._subcommand_parsers[self.chosen_subcommand].get_defaults(skip_validation=True).keys()
            raise UserError(explain_parser_error(error.message, known)) from error

    def _parse_ckpt_path(self) -> None:
        """Check the checkpoint before anything slow; unlike Lightning's, ours hold no arguments to parse."""
        if path := self.config[self.config.subcommand].get("ckpt_path"):
            read_checkpoint(path)

    def before_instantiate_classes(self) -> None:
        """Match both sides: the data sets the number of frames, the pretrained model their size."""
        config = self.config[self.subcommand]
        if config.protocol is not None:
            paper_layout(config.protocol)  # a wrong name must not wait for the end of the test
        data = config.data.get("init_args") or {}
        if config.model.config.num_frames is None:
            config.model.config.num_frames = data.get("num_frames")
        if "image_size" in data and data["image_size"] != (size := read_image_size(config.model.pretrained)):
            rank_zero_info(f"{config.model.pretrained} takes frames of {size} x {size} pixels: data.image_size={size}.")
            data["image_size"] = size

    def instantiate_classes(self) -> None:
        """Build data, model and Trainer.

        Raises:
            UserError: If an option of a class has a form that only its constructor refuses.
        """
        try:
            super().instantiate_classes()
        except ValueError as error:
            if "must be a mapping" not in str(error):
                raise
            raise UserError(explain_parser_error(str(error), [])) from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the Trainer with a new output folder and, unless given, a fitting precision."""
        config = self.config_init[self.subcommand]
        if config.trainer.precision is None:
            kwargs["precision"] = choose_precision(config.trainer.accelerator)
        if config.trainer.logger in (None, True):  # given neither a logger nor false
            kwargs["logger"] = TensorBoardLogger(config.output_dir, name=self.experiment_name)
        if self.subcommand != "fit":
            kwargs["enable_checkpointing"] = False  # only training has something to save
        settings = {**config.trainer.as_dict(), **kwargs}
        callbacks = [*usable_callbacks(settings), RunFolderNotes(self.argv)]
        try:
            return super().instantiate_trainer(**kwargs, callbacks=callbacks)
        except TypeError as error:  # what Lightning raises for devices that are no number
            raise UserError(f"The Trainer cannot be built: {error}") from error

    def after_instantiate_classes(self) -> None:
        """Print the number of parameters."""
        sizes = [(p.numel(), p.requires_grad) for p in self.model.parameters()]
        trained = sum(size for size, is_trained in sizes if is_trained)
        rank_zero_info(f"Parameters: {sum(s for s, _ in sizes) / 1e6:.2f} M, trained: {trained / 1e6:.2f} M.")

    # The four subcommands; LightningCLI calls the method of that name

    def fit(self, **kwargs: Any) -> None:
        """Train, then test the last weights."""
        check_global_batch(self.trainer, self.datamodule)
        self.trainer.fit(**kwargs)
        if self.trainer.fast_dev_run or self.trainer.interrupted:
            return
        # Without checkpoints the weights in memory are tested: they are the same, but the report names no file.
        last = next((c.best_model_path for c in self.trainer.checkpoint_callbacks if c.monitor is None), None)
        self.test(self.model, self.datamodule, ckpt_path=last)

    def validate(self, model: LightningModule, datamodule: LightningDataModule, **kwargs: Any) -> None:
        """Validate a checkpoint."""
        self.trainer.validate(model, datamodule=datamodule, **{**kwargs, "verbose": False})
        self._print_skipped_clips()

    def test(
        self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str | None = None, **kwargs: Any
    ) -> None:
        """Test without and with weight ensembling, and report both; only the first if the second fails."""
        ensembling = next(c for c in self.trainer.callbacks if isinstance(c, WeightSpaceEnsemble))
        wanted, runs = ensembling.weight, []
        try:
            for weight in dict.fromkeys((1.0, wanted)):  # once where both are the same
                ensembling.weight = weight
                self.trainer.test(model, datamodule=datamodule, ckpt_path=ckpt_path, **{**kwargs, "verbose": False})
                runs.append(EvaluationRun(weight, model.test_results))
                folder = run_folder(self.trainer)  # while all processes are there to agree on it
        finally:
            ensembling.weight = wanted
            if runs:  # in `finally`: a failure of the second test must not lose the first
                config = self.config[self.subcommand].as_dict()
                write_report(runs, folder, self.trainer, config, ckpt_path, list(self._skipped_clips.clips))
        self._print_skipped_clips()

    def predict(self, model: LightningModule, datamodule: LightningDataModule, **kwargs: Any) -> None:
        """Predict, and write the `--top` best classes of every clip to predictions.csv."""
        predictions = self.trainer.predict(model, datamodule=datamodule, **{**kwargs, "return_predictions": True})
        top = self.config[self.subcommand].top
        top_k = len(datamodule.class_names) if top == "all" else top
        write_predictions(predictions, datamodule.class_names, self.trainer, top_k)
        self._print_skipped_clips()

    @property
    def _skipped_clips(self) -> SkippedClips:
        empty = SkippedClips()  # where a configuration has left the callback out
        return next((c for c in self.trainer.callbacks if isinstance(c, SkippedClips)), empty)

    def _print_skipped_clips(self) -> None:
        if (report := self._skipped_clips.report()) and self.trainer.is_global_zero:
            print(report)


def choose_precision(accelerator: str) -> str:
    """Choose the precision for this machine: on a GPU bf16, or fp16 where it has no bf16; 32 bits on a CPU."""
    if accelerator not in ("auto", "gpu", "cuda") or not torch.cuda.is_available():
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"


def usable_callbacks(trainer_settings: Mapping[str, Any]) -> list[Callback]:
    """Return the configured callbacks without those whose Trainer flag is off."""
    callbacks = trainer_settings["callbacks"] or []
    off = tuple(kind for flag, kind in SWITCHES.items() if trainer_settings[flag] is False)
    return [c for c in (callbacks if isinstance(callbacks, list) else [callbacks]) if not isinstance(c, off)]


def check_global_batch(trainer: Trainer, datamodule: LightningDataModule) -> None:
    """Refuse a global batch that nothing would accumulate, as where a list of callbacks replaces the defaults.

    Raises:
        UserError: If the data asks for one and `GlobalBatchSize` is not among the callbacks.
    """
    wanted = getattr(datamodule, "global_batch_size", None)
    if wanted is not None and not any(isinstance(callback, GlobalBatchSize) for callback in trainer.callbacks):
        raise UserError(
            f"data.global_batch_size={wanted} needs the callback GlobalBatchSize, which trainer.callbacks replaces: "
            "add callbacks to the defaults by --trainer.callbacks+=NAME instead, or by `callbacks+:` in a YAML file."
        )
