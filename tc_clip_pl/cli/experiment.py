"""`tcclip fit|validate|test|predict`: one experiment from a configuration to its results."""

from __future__ import annotations

import json
from argparse import ArgumentError
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from jsonargparse import Namespace
from jsonargparse.typing import PositiveInt
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from tc_clip_pl.cli.checkpoint_config import adopt_checkpoint, find_checkpoint, record_run, recorded_run
from tc_clip_pl.cli.class_check import check_tested_classes
from tc_clip_pl.cli.clip_check import check_clips
from tc_clip_pl.cli.config_args import classes_to_data, configs_first, import_plugins
from tc_clip_pl.cli.configs import DEFAULTS, shipped_config_folder
from tc_clip_pl.cli.data_module import build_data, build_data_parser, check_test_names, find_data_modules
from tc_clip_pl.cli.errors import UserError, explain_parser_error
from tc_clip_pl.cli.library_logging import silence_library_logs
from tc_clip_pl.cli.run_folder_notes import RunFolderNotes
from tc_clip_pl.cli.scored_weights import check_scored_weights
from tc_clip_pl.cli.trainer_settings import (
    check_global_batch,
    check_tested_weights,
    check_training_length,
    check_training_numbers,
    choose_precision,
    usable_callbacks,
    with_safe_checkpoints,
)
from tc_clip_pl.cli.write_outputs import run_folder, write_predictions, write_report
from tc_clip_pl.evaluation.paper_tables import paper_layout
from tc_clip_pl.evaluation.results import EvaluationRun
from tc_clip_pl.training.build import build_module, read_image_size
from tc_clip_pl.training.checkpoint import CheckpointFacts, read_facts
from tc_clip_pl.training.finite_loss import FiniteLoss
from tc_clip_pl.training.logging_callbacks import SkippedClips
from tc_clip_pl.training.weight_ensembling import WeightSpaceEnsemble


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
    ckpt_path = find_checkpoint(options)
    if ckpt_path and not configs and argv[0] != "fit":
        name, recorded = recorded_run(ckpt_path)
        # First, as a file would be, so that the options of this command override it.
        options = ["--config", json.dumps(recorded), f"--plugins={json.dumps(recorded['plugins'])}", *options]
    find_data_modules()  # jsonargparse resolves a bare class name only among classes that are already imported
    import_plugins(options, configs)
    if "--help-all" in options:
        options = ["--help"]
    try:
        TCCLIPCLI(name, [argv[0], *options], command=["tcclip", *argv])
    except MisconfigurationException as error:
        raise UserError(str(error)) from error


class TCCLIPCLI(LightningCLI):
    """LightningCLI with this project's model, defaults and tests.

    Args:
        experiment_name: Folder of the outputs, below `--output_dir`.
        args: The subcommand and its options.
        command: The command line as it was typed, for checkpoints and reports.
    """

    def __init__(self, experiment_name: str, args: list[str], command: Sequence[str] = ()) -> None:
        self.experiment_name, self.chosen_subcommand = experiment_name, args[0]
        self.command = list(command) or ["tcclip", *args]
        self.checkpoint: CheckpointFacts | None = None
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
        parser.add_argument(
            "--tested_weights",
            type=Literal["last", "best"],
            default="last",
            help="What `fit` tests: the weights of the last epoch, or of the best validation.",
        )
        parser.add_argument(
            "--max_bad_steps", type=int, default=0, help="Steps whose loss is not finite that `fit` may skip."
        )
        parser.add_argument("--check_clips", type=bool, default=True, help="Whether `fit` reads all headers first.")
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
        check_test_names(self.config[self.chosen_subcommand].data)

    def _parse_ckpt_path(self) -> None:
        """Check the checkpoint before anything slow; Lightning would parse arguments that ours do not hold."""
        if path := self.config[self.config.subcommand].get("ckpt_path"):
            self.checkpoint = read_facts(path)
            if self.config.subcommand == "fit" and not self.checkpoint.resumable:
                raise UserError(
                    f"{path} holds only weights, without the state of the optimizer: resume from last.ckpt, or start "
                    f"a new training from these weights by --model.init_from {path}."
                )

    def before_instantiate_classes(self) -> None:
        """Match both sides: the data sets the number of frames, the checkpoint or pretrained model their size.

        Raises:
            UserError: If a setting contradicts the checkpoint, or there is nothing to train.
        """
        config = self.config[self.subcommand]
        if self.subcommand == "fit":
            check_training_length(config.trainer)
            check_training_numbers(config.trainer)
        if config.protocol is not None:
            paper_layout(config.protocol)  # a wrong name must not wait for the end of the test
        if self.checkpoint is not None:
            defaults = self._subcommand_parsers[self.subcommand].get_defaults(skip_validation=True)
            for note in adopt_checkpoint(config, self.checkpoint, defaults.model.pretrained):
                rank_zero_info(note)
        self._match_frames(config)

    def _match_frames(self, config: Namespace) -> None:
        data = config.data.get("init_args") or {}
        if config.model.config.num_frames is None:
            config.model.config.num_frames = data.get("num_frames")
        source = self.checkpoint.path if self.checkpoint else config.model.pretrained
        if "image_size" in data and data["image_size"] != (size := read_image_size(str(source))):
            rank_zero_info(f"{source} takes frames of {size} x {size} pixels: data.image_size={size}.")
            data["image_size"] = size

    def instantiate_classes(self) -> None:
        """Build data, model and Trainer, the model from the checkpoint if there is one, after checks of the data.

        The configuration names CLIP and the options of the model in both cases, as reports and config.yaml show it.

        Raises:
            UserError: If an option of a class has a form that only its constructor refuses.
            DataError: If `fit` cannot read its lists or clips.
        """
        config = self.config.clone()
        if self.checkpoint is not None:
            # The name of the CLIP stays in the configuration: ensembling needs it, rebuilding the model does not.
            config[self.subcommand].model.pretrained = str(self.checkpoint.path)
            config[self.subcommand].model.init_from = None  # the checkpoint's weights came after these
        try:
            config[self.subcommand].data = self._build_data(config[self.subcommand])
            self.config_init = self.parser.instantiate_classes(config)
        except ValueError as error:
            if "must be a mapping" not in str(error):
                raise
            raise UserError(explain_parser_error(str(error), [])) from error
        self.datamodule, self.model = self._get(self.config_init, "data"), self._get(self.config_init, "model")
        if self.checkpoint is not None:
            self.model.model.config.clip_name_or_path = self._absolute(self.config[self.subcommand].model.pretrained)
        plain_config = json.loads(self._parser(self.subcommand).dump(self.config[self.subcommand], format="json"))
        self.model.run_record = record_run(self.experiment_name, plain_config, self.command)
        chosen = self.config[self.subcommand]
        self._is_plain_clip = check_scored_weights(
            self.subcommand, chosen, self.model.model, self.checkpoint is not None
        )
        self.trainer = self.instantiate_trainer()

    def _build_data(self, config: Namespace) -> LightningDataModule:
        """Build the data alone, ahead of the model, so that a mistake in it is found at once."""
        data = build_data(build_data_parser(), Namespace(data=config.data))
        if self.subcommand == "fit":
            check_clips(data, config.check_clips)
        elif self.checkpoint is not None:
            check_tested_classes(data, self.checkpoint, self.subcommand)
        return data

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
        kwargs["plugins"] = with_safe_checkpoints(settings["plugins"])
        # Not among the configured callbacks: replacing their list should not switch the check off.
        callbacks = [*usable_callbacks(settings), FiniteLoss(config.max_bad_steps), RunFolderNotes(self.command[1:])]
        try:
            return super().instantiate_trainer(**kwargs, callbacks=callbacks)
        except TypeError as error:  # what Lightning raises for devices that are no number
            raise UserError(f"The Trainer cannot be built: {error}") from error

    @staticmethod
    def _absolute(name_or_path: str) -> str:
        return str(Path(name_or_path).resolve()) if Path(name_or_path).exists() else name_or_path

    def after_instantiate_classes(self) -> None:
        """Print the number of parameters."""
        sizes = [(p.numel(), p.requires_grad) for p in self.model.parameters()]
        trained = sum(size for size, is_trained in sizes if is_trained)
        rank_zero_info(f"Parameters: {sum(s for s, _ in sizes) / 1e6:.2f} M, trained: {trained / 1e6:.2f} M.")

    # The four subcommands; LightningCLI calls the method of that name

    def fit(self, **kwargs: Any) -> None:
        """Train, then test the weights of `tested_weights`."""
        check_global_batch(self.trainer, self.datamodule)
        check_tested_weights(self.trainer, self.config.fit.tested_weights)
        self.trainer.fit(**kwargs)
        if self.trainer.fast_dev_run or self.trainer.interrupted:
            return
        self.test(self.model, self.datamodule, ckpt_path=self._choose_weights())

    def _choose_weights(self) -> str | None:
        """Return the checkpoint that `tested_weights` names, or None for the weights in memory."""
        is_best = self.config.fit.tested_weights == "best"
        paths = (c.best_model_path for c in self.trainer.checkpoint_callbacks if (c.monitor is not None) == is_best)
        path = next(paths, None)
        if path is None:
            rank_zero_info("No checkpoint was written: the weights in memory, of the last step, are tested.")
        return path

    def validate(self, model: LightningModule, datamodule: LightningDataModule, **kwargs: Any) -> None:
        """Validate a checkpoint."""
        self.trainer.validate(model, datamodule=datamodule, **{**kwargs, "verbose": False})
        self._print_skipped_clips()

    def test(
        self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str | None = None, **kwargs: Any
    ) -> None:
        """Test with every ensemble weight and report all; where a later pass fails, those before it."""
        ensembling = next(c for c in self.trainer.callbacks if isinstance(c, WeightSpaceEnsemble))
        if self._is_plain_clip:  # nothing was trained: the weights are CLIP's, whatever share is asked for
            ensembling.weights = (0.0,)
        runs: list[EvaluationRun] = []
        try:
            for weights in ensembling.passes(self.trainer):
                self.trainer.test(model, datamodule=datamodule, ckpt_path=ckpt_path, **{**kwargs, "verbose": False})
                is_clip = not model.model.new_parameter_names()
                runs += [EvaluationRun(weight, model.test_results[weight], is_clip) for weight in weights]
                folder = run_folder(self.trainer)  # while all processes are there to agree on it
        finally:
            if runs:  # in `finally`: a failure of a later pass must not lose the earlier ones
                config = self.config[self.subcommand].as_dict()
                write_report(runs, folder, self.trainer, config, ckpt_path, list(self._skipped_clips.clips))
        self._print_skipped_clips()

    def predict(self, model: LightningModule, datamodule: LightningDataModule, **kwargs: Any) -> None:
        """Predict with the first ensemble weight, and write the `--top` best classes per clip to predictions.csv."""
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
