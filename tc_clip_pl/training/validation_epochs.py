"""The epochs after which the few-shot protocol validates."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer


class ValidationEpochs(Callback):
    """Validate after epochs 0, `every`, 2 `every`, ..., counted from 0, and after the last one.

    `trainer.check_val_every_n_epoch` alone would validate after epochs `every` - 1, 2 `every` - 1, ..., and after the
    last only where the number of epochs divides.

    Args:
        every: Epochs from one validation to the next, at least 1.

    Raises:
        ValueError: If `every` is below 1.
    """

    def __init__(self, every: int = 10) -> None:
        if every < 1:
            raise ValueError(f"every is {every}; ValidationEpochs needs at least 1.")
        self.every = every

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Switch the validation of this epoch on or off."""
        epoch = trainer.current_epoch
        is_due = epoch % self.every == 0 or epoch + 1 == trainer.max_epochs
        # The Trainer validates where epoch + 1 is a multiple of this: always for 1, not in this epoch for epoch + 2.
        trainer.check_val_every_n_epoch = 1 if is_due else epoch + 2
