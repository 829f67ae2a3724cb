"""`tcclip fit|validate|test|predict`: one experiment from a configuration to its results."""

from __future__ import annotations

import json
import time
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from tc_clip_pl.cli.checkpoint_config import find_checkpoint, record_run, recorded_run
from tc_clip_pl.cli.class_check import check_tested_classes
from tc_clip_pl.cli.clip_check import check_clips
from tc_clip_pl.cli.config_args import classes_to_data, configs_first, import_plugins, without_other_options
from tc_clip_pl.cli.data_module import build_data, build_data_parser, find_data_modules
from tc_clip_pl.cli.errors import UserError, explain_parser_error
from tc_clip_pl.cli.experiment_arguments import ExperimentArguments
from tc_clip_pl.cli.library_logging import silence_library_logs
from tc_clip_pl.cli.run_folder_notes import RunFolderNotes
from tc_clip_pl.cli.scored_weights import check_scored_weights
from tc_clip_pl.cli.trainer_settings import (
    check_global_batch,
    check_tested_weights,
    choose_precision,
    usable_callbacks,
    with_safe_checkpoints,
)
from tc_clip_pl.cli.write_outputs import run_folder, write_predictions, write_report
from tc_clip_pl.evaluation.results import EvaluationRun
from tc_clip_pl.modules.names import recorded_name
from tc_clip_pl.training.confusion_matrix import ConfusionMatrixPicture
from tc_clip_pl.training.cost_monitor import CostMonitor
from tc_clip_pl.training.finite_loss import FiniteLoss
from tc_clip_pl.training.interrupts import KeepInterrupts
from tc_clip_pl.training.skipped_clips import SkippedClips
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
    options = without_other_options(options, configs)
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


class TCCLIPCLI(ExperimentArguments):
    """Builds data, model and Trainer of an experiment, and runs its subcommand."""

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
            self.model.model.config.clip_name_or_path = recorded_name(self.config[self.subcommand].model.pretrained)
        chosen = self.config[self.subcommand]
        # Not checked again, which would take as long as parsing.
        written = self._parser(self.subcommand).dump(chosen, format="json", skip_validation=True)
        self.model.run_record = record_run(self.experiment_name, json.loads(written), self.command)
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
        # Not among the configured callbacks: replacing their list should not switch these off.
        fixed = [FiniteLoss(config.max_bad_steps), KeepInterrupts(), RunFolderNotes(self.command[1:]), CostMonitor()]
        usable = usable_callbacks(settings)
        if not config.pictures:
            usable = [callback for callback in usable if not isinstance(callback, ConfusionMatrixPicture)]
        try:
            return super().instantiate_trainer(**kwargs, callbacks=[*usable, *fixed])
        except TypeError as error:  # what Lightning raises for devices that are no number
            raise UserError(f"The Trainer cannot be built: {error}") from error

    def after_instantiate_classes(self) -> None:
        """Print the number of parameters."""
        if self.subcommand == "fit" and hasattr(self.datamodule, "class_names"):
            self.model.model.set_class_names(self.datamodule.class_names)  # some systems have parameters for each class
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
                skipped, minutes = list(self._skipped_clips.clips), (time.monotonic() - self.began) / 60
                write_report(runs, folder, self.trainer, config, ckpt_path, skipped, minutes)
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
