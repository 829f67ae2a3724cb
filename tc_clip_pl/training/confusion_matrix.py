"""Confusion matrix of each validation in TensorBoard."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from tc_clip_pl.evaluation.pictures import draw_confusion_matrix


class ConfusionMatrixPicture(Callback):
    """Add the confusion matrix to TensorBoard after every validation except the sanity check."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the module's `val_results`."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        names, results = trainer.datamodule.class_names, pl_module.val_results
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                picture = draw_confusion_matrix(results.confusion, names, f"Validation, top-1 {results.top1:.1%}")
                logger.experiment.add_figure("val/confusion_matrix", picture, trainer.global_step)
