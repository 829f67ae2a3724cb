"""The mean of the weights at the ends of epochs, for testing: Open-VCLIP and FROSTER."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor


class AverageEpochs(Callback):
    """Hold the mean of the trained weights at the ends of epochs, each with the same share, from one epoch on.

    The mean is in the model whenever an epoch has ended: `last.ckpt` holds it, and it is what remains after the last
    epoch. Training goes on from its own weights, and validation, which comes before the end of an epoch, sees these;
    so does the checkpoint of the best validation. A resumed run continues both.

    Not Lightning's `WeightAveraging`: it copies the whole module, a teacher and metrics included, and before the first
    update it validates and saves weights that nothing has trained.

    Args:
        first_epoch: The first epoch whose end counts, from 1.

    Raises:
        ValueError: If `first_epoch` is below 1.
    """

    def __init__(self, first_epoch: int = 2) -> None:
        if first_epoch < 1:
            raise ValueError(f"AverageEpochs.first_epoch is {first_epoch}; it must be at least 1.")
        self.first_epoch = first_epoch
        self.num_averaged = 0
        self._is_mean_in_model = False
        self._other: dict[str, Tensor] = {}  # the mean or the trained weights, whichever the model does not hold

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Check the strategy and the length of the training.

        Raises:
            ValueError: If weights are sharded, or the training ends before the first epoch that counts.
        """
        if stage != "fit":
            return
        if isinstance(trainer.strategy, ModelParallelStrategy):
            raise ValueError("AverageEpochs needs whole weights, and trainer.strategy shards them: set it to ddp.")
        if 0 <= (trainer.max_epochs or -1) < self.first_epoch:
            raise ValueError(
                f"AverageEpochs would average nothing: training ends with epoch {trainer.max_epochs}, and "
                f"first_epoch is {self.first_epoch}."
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on with the trained weights."""
        if self._is_mean_in_model:
            self._swap(pl_module)

    @torch.no_grad()
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the trained weights to the mean, and put it into the model."""
        if trainer.current_epoch + 1 < self.first_epoch:
            return
        trained = _trained_parameters(pl_module)
        self.num_averaged += 1
        if self.num_averaged == 1:
            self._other = {name: parameter.clone() for name, parameter in trained.items()}
        for name, mean in self._other.items():
            mean.lerp_(trained[name], 1 / self.num_averaged)
        self._swap(pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what the weights are now."""
        if self.num_averaged > 1:
            last = self.first_epoch + self.num_averaged - 1
            rank_zero_info(f"The weights are now the mean of those after epochs {self.first_epoch} to {last}.")

    def state_dict(self) -> dict[str, Any]:
        """Return what resuming needs besides the weights of the model."""
        state = {"num_averaged": self.num_averaged, "is_mean_in_model": self._is_mean_in_model}
        return {**state, "other": dict(self._other)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the mean of the run that is resumed."""
        self.num_averaged = state_dict["num_averaged"]
        self._is_mean_in_model, self._other = state_dict["is_mean_in_model"], dict(state_dict["other"])

    @torch.no_grad()
    def _swap(self, pl_module: LightningModule) -> None:
        """Exchange the weights in the model with the others, in place, so that an optimizer keeps its references."""
        for name, parameter in _trained_parameters(pl_module).items():
            held = parameter.clone()
            parameter.copy_(self._other[name])
            self._other[name] = held
        self._is_mean_in_model = not self._is_mean_in_model
        pl_module.model.clear_class_cache()  # the model cannot see in-place writes


def _trained_parameters(pl_module: LightningModule) -> dict[str, Tensor]:
    return {name: parameter for name, parameter in pl_module.named_parameters() if parameter.requires_grad}
