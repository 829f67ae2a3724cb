"""Callback that puts the confusion matrix of each validation into TensorBoard."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from tc_clip_pl.evaluation.pictures import draw_confusion_matrix


class ConfusionMatrixPicture(Callback):
    """Adds the confusion matrix to TensorBoard at the end of every validation but the sanity check."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the figures that the module has just computed."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        names, figures = trainer.datamodule.class_names, pl_module.val_figures
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                picture = draw_confusion_matrix(figures.confusion, names, f"Validation, top-1 {figures.top1:.1%}")
                logger.experiment.add_figure("val/confusion_matrix", picture, trainer.global_step)
