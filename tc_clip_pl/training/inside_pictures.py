"""Pictures of what the model sees in a few validation clips, for TensorBoard."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch import Tensor

from tc_clip_pl.visualization.inside import draw_inside
from tc_clip_pl.visualization.sheet import plot_sheet


class InsidePictures(Callback):
    """Logs the sheet of `tcclip visualize` for the first validation clips: seeds, context tokens and attention.

    Add it by ``--trainer.callbacks+=tc_clip_pl.training.inside_pictures.InsidePictures``. It draws no random numbers
    and leaves the training as it is. The data module must have the `options` of those in `datamodules`.

    Args:
        num_clips: Clips of the first validation batch to draw.
        every_n_epochs: Draw after each n-th epoch with a validation.
    """

    def __init__(self, num_clips: int = 2, every_n_epochs: int = 1) -> None:
        if num_clips < 1 or every_n_epochs < 1:
            raise ValueError("num_clips and every_n_epochs must be at least 1.")
        self.num_clips, self.every_n_epochs = num_clips, every_n_epochs
        self._batch: Any = None

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        """Keep the first batch until the validation is over."""
        is_due = not trainer.sanity_checking and (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if batch_idx == 0 and is_due and self._batch is None and trainer.is_global_zero:
            self._batch = (batch.video[: self.num_clips, 0], batch.video_id[: self.num_clips])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the clips, on the first process, where a logger can show them."""
        loggers = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        if self._batch is None or not loggers:
            return
        (videos, names), self._batch = self._batch, None
        for number, (video, name) in enumerate(zip(videos, names, strict=True)):
            picture = self._draw(pl_module, video, _to_pixels(video, trainer.datamodule), name)
            for logger in loggers:
                logger.experiment.add_image(f"inside/{number}", picture, trainer.global_step, dataformats="HWC")

    @torch.no_grad()
    def _draw(self, pl_module: LightningModule, video: Tensor, pixels: Tensor, name: str) -> np.ndarray:
        output = pl_module.model(video[None], return_sources=True, return_attentions=True)
        figure = plot_sheet(draw_inside(pixels, output), name)
        figure.set_dpi(120)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3]


def _to_pixels(video: Tensor, data: Any) -> Tensor:
    """Undo the normalization of (T, 3, H, W) frames by the mean and std of the data module's options: uint8."""
    mean, std = (
        torch.tensor(value, device=video.device).view(3, 1, 1) for value in (data.options.mean, data.options.std)
    )
    return (video * std + mean).round().clamp(0, 255).byte().cpu()
