"""`tcclip fit|validate|test|predict`: one experiment from a configuration to its results."""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from tc_clip_pl.cli.config_args import configs_first
from tc_clip_pl.cli.errors import UserError, explain_parser_error
from tc_clip_pl.cli.library_logging import quieten_libraries
from tc_clip_pl.cli.write_outputs import run_folder, write_predictions, write_report
from tc_clip_pl.evaluation.paper_tables import paper_layout
from tc_clip_pl.evaluation.results import TestRun
from tc_clip_pl.training.accumulation import GlobalBatchSize
from tc_clip_pl.training.build import build_module, read_image_size
from tc_clip_pl.training.checkpoint import read_checkpoint
from tc_clip_pl.training.confusion_matrix import ConfusionMatrixPicture
from tc_clip_pl.training.distributed import EndTogether
from tc_clip_pl.training.monitoring import GradientNorm, SkippedClips, SpeedMonitor, TrainingProgressBar
from tc_clip_pl.training.weight_ensembling import WeightSpaceEnsemble


def run_experiment(words: list[str]) -> None:
    """Run one of the Trainer's subcommands.

    Args:
        words: The subcommand and its options.

    Raises:
        UserError: If the configuration is wrong.
        ValueError, OSError: If data, model or checkpoint are.
    """
    options, configs = configs_first(words[1:])
    name = configs[0].stem if configs else "experiment"
    quieten_libraries()
    if "--help-all" in options:
        options = ["--help"]
    try:
        TCCLIPCLI(name, [words[0], *options])
    except MisconfigurationException as error:
        raise UserError(str(error)) from error


class TCCLIPCLI(LightningCLI):
    """LightningCLI with the model, the callbacks and the tests of this project.

    Args:
        experiment_name: Folder for the outputs, below `--output_dir`.
        args: The subcommand and its options.
    """

    def __init__(self, experiment_name: str, args: list[str]) -> None:
        self.experiment_name, self.named_run = experiment_name, args[0]
        strict = {"exit_on_error": False, "allow_abbrev": False}
        super().__init__(
            build_module,
            LightningDataModule,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            seed_everything_default=1024,
            trainer_defaults={"use_distributed_sampler": False, "enable_model_summary": False},
            parser_kwargs={**strict, self.named_run: dict(strict)},
            args=args,
        )

    # Configuration

    def subcommands(self) -> dict[str, set[str]]:
        """Only the one that was asked for: building the parsers of the others takes a second."""
        return {self.named_run: super().subcommands()[self.named_run]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what belongs to the experiment rather than to the Trainer, the model or the data."""
        parser.add_argument("--output_dir", default="outputs", help="Where each run makes its own new folder.")
        parser.add_argument("--protocol", type=str | None, help="Table of the paper that results are laid out as.")
        parser.add_argument("--method", type=str | None, help="What the model is called in reports.")
        parser.add_lightning_class_args(WeightSpaceEnsemble, "ensembling")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, and explain what does not parse.

        Raises:
            UserError: In one sentence, with the nearest name for an unknown key.
        """
        try:
            self.config = parser.parse_args(args)
        except ArgumentError as error:
            known = self._subcommand_parsers[self.named_run].get_defaults(skip_validation=True).keys()
            raise UserError(explain_parser_error(error.message, known)) from error

    def _parse_ckpt_path(self) -> None:
        """Check the checkpoint before anything slow; unlike Lightning's, ours hold no arguments to parse."""
        if path := self.config[self.config.subcommand].get("ckpt_path"):
            read_checkpoint(path)

    def before_instantiate_classes(self) -> None:
        """Make the two sides agree: the data says how many frames, the model says how large they are."""
        config = self.config[self.subcommand]
        if config.protocol is not None:
            paper_layout(config.protocol)  # a wrong name must not wait for the end of the test
        data = config.data.get("init_args") or {}
        if config.model.config.num_frames is None:
            config.model.config.num_frames = data.get("num_frames")
        if "image_size" in data and data["image_size"] != (size := read_image_size(config.model.pretrained)):
            rank_zero_info(f"Frames are {size} pixels wide and high, as {config.model.pretrained} takes them.")
            data["image_size"] = size

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Make the Trainer with a new output folder, our callbacks and, unless given, a fitting precision."""
        config = self.config_init[self.subcommand]
        if config.trainer.precision is None:
            kwargs["precision"] = choose_precision(config.trainer.accelerator)
        if config.trainer.logger in (None, True):
            kwargs["logger"] = TensorBoardLogger(config.output_dir, name=self.experiment_name)
        if self.subcommand != "fit":
            kwargs["enable_checkpointing"] = False
        self.skipped_clips = SkippedClips()
        switches = {**config.trainer.as_dict(), **kwargs}
        self.trainer_defaults["callbacks"] = [self.skipped_clips, *build_callbacks(switches)]
        return super().instantiate_trainer(**kwargs)

    def after_instantiate_classes(self) -> None:
        """Say how large the model is."""
        sizes = [(p.numel(), p.requires_grad) for p in self.model.parameters()]
        trained = sum(size for size, is_trained in sizes if is_trained)
        rank_zero_info(f"Parameters: {sum(s for s, _ in sizes) / 1e6:.2f} M, trained: {trained / 1e6:.2f} M.")

    # The four runs; LightningCLI calls the one that is named on the command line

    def fit(self, **kwargs: Any) -> None:
        """Train, then test the last weights."""
        self.trainer.fit(**kwargs)
        if self.trainer.fast_dev_run or self.trainer.interrupted:
            return
        last = next(c.best_model_path for c in self.trainer.checkpoint_callbacks if c.monitor is None)
        self.test(self.model, self.datamodule, ckpt_path=last)

    def validate(self, model: LightningModule, datamodule: LightningDataModule, **kwargs: Any) -> None:
        """Validate a checkpoint."""
        self.trainer.validate(model, datamodule=datamodule, **kwargs)
        self._print_skipped_clips()

    def test(
        self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str | None = None, **kwargs: Any
    ) -> None:
        """Test without and with weight-space ensembling, and report both, or what there is if the second fails."""
        ensembling = next(c for c in self.trainer.callbacks if isinstance(c, WeightSpaceEnsemble))
        wanted, runs = ensembling.weight, []
        try:
            for weight in dict.fromkeys((1.0, wanted)):
                ensembling.weight = weight
                self.trainer.test(model, datamodule=datamodule, ckpt_path=ckpt_path, **{**kwargs, "verbose": False})
                runs.append(TestRun(weight, model.test_results))
                folder = run_folder(self.trainer)  # while all processes are there to agree on it
        finally:
            ensembling.weight = wanted
            if runs:
                config = self.config[self.subcommand].as_dict()
                write_report(runs, folder, self.trainer, config, ckpt_path, list(self.skipped_clips.clips))
        self._print_skipped_clips()

    def predict(self, model: LightningModule, datamodule: LightningDataModule, **kwargs: Any) -> None:
        """Predict, and write the three best classes of every clip to predictions.csv."""
        predictions = self.trainer.predict(model, datamodule=datamodule, **{**kwargs, "return_predictions": True})
        write_predictions(predictions, datamodule.class_names, self.trainer)
        self._print_skipped_clips()

    def _print_skipped_clips(self) -> None:
        if (report := self.skipped_clips.report()) and self.trainer.is_global_zero:
            print(report)


def choose_precision(accelerator: str) -> str:
    """The precision that suits the machine: bf16 on a GPU that has it, else fp16, and full precision on a CPU."""
    if accelerator not in ("auto", "gpu", "cuda") or not torch.cuda.is_available():
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"


def build_callbacks(trainer_config: Mapping[str, Any]) -> list[Callback]:
    """The callbacks of every run, less those that the Trainer's configuration switches off."""
    callbacks: list[Callback] = [GlobalBatchSize(), SpeedMonitor(), GradientNorm(), EndTogether()]
    if trainer_config["enable_progress_bar"] is not False:
        callbacks.append(TrainingProgressBar())
    if trainer_config["logger"] is not False:
        callbacks += [LearningRateMonitor("step"), ConfusionMatrixPicture()]
    if trainer_config["enable_checkpointing"] is not False:
        callbacks += build_checkpoint_callbacks()
    return callbacks


def build_checkpoint_callbacks() -> list[ModelCheckpoint]:
    """`best`: weights of the best validation; `last`: everything needed to go on, written after every epoch."""
    name = {"auto_insert_metric_name": False, "enable_version_counter": False}
    best = ModelCheckpoint(
        filename="best", monitor="val/top1", mode="max", save_weights_only=True, save_on_train_epoch_end=False, **name
    )
    return [best, ModelCheckpoint(filename="last", save_on_train_epoch_end=True, **name)]
