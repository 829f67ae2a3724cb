"""What the Trainer takes: precision, callbacks and plugins that fit the machine and the other settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, ProgressBar

from tc_clip_pl.cli.errors import UserError
from tc_clip_pl.training.accumulation import GlobalBatchSize
from tc_clip_pl.training.background_checkpoints import BackgroundCheckpointIO

SWITCHES: dict[str, type[Callback]] = {
    "enable_checkpointing": ModelCheckpoint,
    "enable_progress_bar": ProgressBar,
    "logger": LearningRateMonitor,
}
"""Flags of the Trainer, and the callbacks that it refuses where they are off."""


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


def check_training_length(trainer_settings: Namespace) -> None:
    """Refuse to train for no epoch, step or batch.

    Raises:
        UserError: Naming the setting.
    """
    for name in ("max_epochs", "max_steps", "limit_train_batches"):
        if (value := trainer_settings.get(name)) == 0 and value is not None:
            raise UserError(f"trainer.{name} is {value}, so there is nothing to train: `tcclip test` only tests.")


def with_safe_checkpoints(plugins: Any) -> list[Any]:
    """Add `BackgroundCheckpointIO` to the Trainer's plugins, unless one of them writes checkpoints itself."""
    given = plugins if isinstance(plugins, list) else [plugins] if plugins else []
    return given if any(isinstance(plugin, CheckpointIO) for plugin in given) else [*given, BackgroundCheckpointIO()]


def check_tested_weights(trainer: Trainer, tested_weights: str) -> None:
    """Refuse before the training to test the best weights where no validation chooses them.

    Raises:
        UserError: If no checkpoint follows a validation metric, or nothing is validated.
    """
    if tested_weights != "best" or trainer.fast_dev_run:
        return
    if trainer.limit_val_batches == 0 or not any(c.monitor for c in trainer.checkpoint_callbacks):
        raise UserError(
            "--tested_weights best needs validation and the checkpoint that follows it: enable "
            "trainer.limit_val_batches and trainer.enable_checkpointing, or give --tested_weights last."
        )


def check_training_numbers(trainer_settings: Mapping[str, Any]) -> None:
    """Refuse a negative gradient clipping, which the Trainer would take.

    Raises:
        UserError: Naming the setting.
    """
    value = trainer_settings["gradient_clip_val"]
    if value is not None and not value >= 0:
        raise UserError(f"trainer.gradient_clip_val is {value:g}; it must be at least 0.")


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
