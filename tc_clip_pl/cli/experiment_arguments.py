"""The arguments of an experiment: one command line, parsed and made consistent before anything is built."""

from __future__ import annotations

import copy
import time
from argparse import ArgumentError
from collections.abc import Sequence
from typing import Any, Literal

from jsonargparse import Namespace
from jsonargparse.typing import PositiveInt
from lightning.pytorch import LightningDataModule
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_info

from tc_clip_pl.cli.checkpoint_config import adopt_checkpoint
from tc_clip_pl.cli.configs import DEFAULTS, shipped_config_folder
from tc_clip_pl.cli.data_module import check_test_names
from tc_clip_pl.cli.errors import UserError, explain_parser_error
from tc_clip_pl.cli.trainer_settings import check_training_length, check_training_numbers
from tc_clip_pl.evaluation.table_layout import paper_layout
from tc_clip_pl.training.build import TC_CLIP, build_module, read_image_size
from tc_clip_pl.training.checkpoint import CheckpointFacts, read_facts
from tc_clip_pl.training.weight_ensembling import WeightSpaceEnsemble

PARSER_ATTRIBUTES = ("parser", "_subcommand_parsers", "_subcommand_method_arguments")
"""What LightningCLI sets where it builds the parser."""
_PARSERS: dict[str, dict[str, Any]] = {}  # by subcommand


class DefaultsOnce(LightningArgumentParser):
    """Reads its default configuration once: parsing a command asks for it twice, and checks all of it each time."""

    _read: Namespace | None = None

    def get_defaults(self, skip_validation: bool = False, **kwargs: Any) -> Namespace:
        """Return all default values, as a copy where they are known."""
        if not skip_validation or kwargs or not self.default_config_files:
            return super().get_defaults(skip_validation, **kwargs)
        if self._read is None:
            self._read = super().get_defaults(skip_validation)
        return copy.deepcopy(self._read)


class ExperimentArguments(LightningCLI):
    """LightningCLI with this project's model, options and defaults; `TCCLIPCLI` builds and runs what they say.

    Args:
        experiment_name: Folder of the outputs, below `--output_dir`.
        args: The subcommand and its options.
        command: The command line as it was typed, for checkpoints and reports.
    """

    def __init__(self, experiment_name: str, args: list[str], command: Sequence[str] = ()) -> None:
        self.experiment_name, self.chosen_subcommand = experiment_name, args[0]
        self.began = time.monotonic()
        self.command = list(command) or ["tcclip", *args]
        self.checkpoint: CheckpointFacts | None = None
        strict = {"exit_on_error": False, "allow_abbrev": False}
        defaults = {"default_config_files": [str(shipped_config_folder() / DEFAULTS)]}
        super().__init__(
            build_module,
            LightningDataModule,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            parser_class=DefaultsOnce,
            parser_kwargs={**strict, self.chosen_subcommand: {**strict, **defaults}},
            args=args,
        )

    def subcommands(self) -> dict[str, set[str]]:
        """Return the chosen one only: building the parsers of the others takes a second."""
        return {self.chosen_subcommand: super().subcommands()[self.chosen_subcommand]}

    def setup_parser(self, *args: Any, **kwargs: Any) -> None:
        """Build the parser of a subcommand once a process, as a tour has two runs and the tests have hundreds."""
        if self.chosen_subcommand not in _PARSERS:
            super().setup_parser(*args, **kwargs)
            _PARSERS[self.chosen_subcommand] = {name: getattr(self, name) for name in PARSER_ATTRIBUTES}
        vars(self).update(_PARSERS[self.chosen_subcommand])

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
        parser.add_argument(
            "--pictures", type=bool, default=True, help="Whether validations and tests draw their confusion matrices."
        )
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
        if config.model.system != TC_CLIP:
            given = {"num_frames": data["num_frames"]} if "num_frames" in data else {}
            config.model.options = {**given, **(config.model.options or {})}
        elif config.model.config.num_frames is None:
            config.model.config.num_frames = data.get("num_frames")
        source = self.checkpoint.path if self.checkpoint else config.model.pretrained
        if "image_size" in data and data["image_size"] != (size := read_image_size(str(source))):
            rank_zero_info(f"{source} takes frames of {size} x {size} pixels: data.image_size={size}.")
            data["image_size"] = size
