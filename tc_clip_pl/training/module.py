"""The LightningModule: how TC-CLIP is trained and evaluated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MeanMetric, MetricCollection

from tc_clip_pl.evaluation.aggregate import summarize
from tc_clip_pl.evaluation.metrics import PADDING_LABEL, ClassificationMetrics, build_metrics, compute_metrics
from tc_clip_pl.training.accumulation import loss_weight
from tc_clip_pl.training.checkpoint import check_state_dict, describe_model
from tc_clip_pl.training.distributed import is_sharded, plain_name, shard, sum_over_processes
from tc_clip_pl.training.optimizer import (
    OptimizerFactory,
    SchedulerFactory,
    build_optimizer,
    build_scheduler,
    group_parameters,
)
from tc_clip_pl.training.training_metrics import TrainingFigures


@dataclass(frozen=True)
class NamedClasses:
    """A test set as far as the module cares: how its figures are called and which words it chooses between."""

    name: str
    class_names: Sequence[str]


class TCCLIPModule(LightningModule):
    """Trains and evaluates a TC-CLIP on any data module that hands over batches of videos and the class names.

    The Trainer's data module gives `class_names` (position = label id) and, for testing, `test_sets`, one for each
    test loader, each with a `name` and its own `class_names`. A batch has `video` (B, V, T, 3, H, W) normalized, and
    `label`: (B,) class ids, or (B, Y) soft targets in training; -1 marks padding.

    Args:
        model: A `TCCLIP`.
        optimizer: Makes the optimizer of parameter groups; only training needs one.
        lr_scheduler: Makes the scheduler of (optimizer, total_steps, steps_per_epoch); without one the rate stays.
        prompting_lr_factor: How many times the optimizer's rate the prompt vectors and the VP block get.
        label_smoothing: Share of each target spread evenly over the classes.
        views_per_forward: Views of a video that evaluation runs at once; 1 keeps memory the same for any number.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: OptimizerFactory | None = None,
        lr_scheduler: SchedulerFactory | None = None,
        prompting_lr_factor: float = 10.0,
        label_smoothing: float = 0.1,
        views_per_forward: int = 1,
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.prompting_lr_factor = prompting_lr_factor
        self.label_smoothing = label_smoothing
        self.views_per_forward = views_per_forward
        self.test_sets: list[NamedClasses] = []
        self.test_figures: dict[str, ClassificationMetrics] = {}
        self.val_figures: ClassificationMetrics | None = None

    # Preparation

    def setup(self, stage: str) -> None:
        """Take the class names of the data module and make one metric object for each set of clips."""
        datamodule = self.trainer.datamodule
        if not hasattr(datamodule, "class_names"):
            raise ValueError("TCCLIPModule needs a data module with `class_names`: give one to the Trainer.")
        class_names = datamodule.class_names
        self._class_names: Sequence[str] | None = None
        self._use_classes(class_names)
        if stage == "test":
            self.test_sets = list(getattr(datamodule, "test_sets", [])) or [NamedClasses("data", class_names)]
            self.test_metrics = nn.ModuleList([build_metrics(len(entry.class_names)) for entry in self.test_sets])
        elif stage in ("fit", "validate"):
            self.model.train(stage == "fit")  # pretrained models come in evaluation mode, which Lightning keeps
            self.train_figures = TrainingFigures()
            self.val_metrics, self.val_loss = build_metrics(len(class_names)), MeanMetric()

    def configure_model(self) -> None:
        """Let a strategy that shards models, such as FSDP, take the model apart; nothing happens under any other."""
        if not is_sharded(self.model):  # called again for every run of the Trainer
            self.model = shard(self.model, self.device)

    def configure_optimizers(self) -> dict[str, Any]:
        """Build the optimizer with its two parameter groups, and the scheduler, stepped once an optimizer step.

        Raises:
            ValueError: If there is no optimizer, or the training has no end for the schedule to reach.
        """
        if self.optimizer is None:
            raise ValueError("TCCLIPModule needs an optimizer to train: give it optimizer=, such as a partial AdamW.")
        groups = group_parameters(self.model, set(map(plain_name, self.model.prompting_parameter_names())))
        optimizer = build_optimizer(self.optimizer, groups, self.prompting_lr_factor)
        if self.lr_scheduler is None:
            return {"optimizer": optimizer}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self._schedule(optimizer), "interval": "step"}}

    def _schedule(self, optimizer: Optimizer) -> LRScheduler:
        total_steps = self.trainer.estimated_stepping_batches
        if total_steps == float("inf"):
            raise ValueError("The schedule needs an end: set trainer.max_epochs or trainer.max_steps.")
        # Rounded up: the last step of an epoch takes the batches that are left.
        steps_per_epoch = math.ceil(self.trainer.num_training_batches / self.trainer.accumulate_grad_batches)
        return build_scheduler(self.lr_scheduler, optimizer, int(total_steps), steps_per_epoch)

    # Steps

    def forward(self, video: Tensor) -> Tensor:
        """Class probabilities of videos, averaged over their views after the softmax.

        Args:
            video: (B, V, T, 3, H, W), normalized.

        Returns:
            (B, Y) float32 probabilities.
        """
        total = 0.0
        for views in video.split(self.views_per_forward, dim=1):
            logits = self.model(views.flatten(0, 1)).logits  # (B * v, Y)
            total = total + logits.float().softmax(-1).unflatten(0, views.shape[:2]).sum(1)
        return total / video.shape[1]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Cross-entropy against class ids or soft targets, smoothed."""
        if len(batch.video) == 0:  # every clip was left out: a zero that other processes can meet in every collective
            return 0.0 * self.model(batch.video.new_zeros(1, *batch.video.shape[2:])).logits.sum()
        logits = self.model(batch.video.squeeze(1)).logits.float()  # (B, Y)
        loss = F.cross_entropy(logits, batch.label, label_smoothing=self.label_smoothing)
        self.train_figures.add(loss, logits, batch.label)
        return loss * loss_weight(self.trainer, len(logits), batch_idx)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Log train/loss_step and train/top1_step."""
        for name, value in self.train_figures.end_step(sum_over_processes).items():
            self.log(f"train/{name}_step", value, prog_bar=True, batch_size=1)

    def on_train_epoch_end(self) -> None:
        """Log train/loss_epoch and train/top1_epoch."""
        for name, value in self.train_figures.end_epoch().items():
            self.log(f"train/{name}_epoch", value, sync_dist=True)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Count the right answers and add up the loss."""
        self._shared_step(batch, self.val_metrics, self.val_loss)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Count the right answers of one test set, among its own classes."""
        self._use_classes(self.test_sets[dataloader_idx].class_names)
        self._shared_step(batch, self.test_metrics[dataloader_idx])

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Name the videos of a batch: their ids and (B, Y) probabilities."""
        return {"video_id": batch.video_id, "label": batch.label, "probabilities": self(batch.video)}

    def _shared_step(self, batch: Any, metrics: MetricCollection, mean_loss: MeanMetric | None = None) -> None:
        probabilities = self(batch.video)
        metrics.update(probabilities, batch.label)
        counted = batch.label != PADDING_LABEL
        if mean_loss is not None and counted.any():
            log_likelihood = probabilities[counted].clamp_min(1e-12).log()
            mean_loss.update(F.nll_loss(log_likelihood, batch.label[counted]), weight=counted.sum())

    # Results

    def on_validation_epoch_end(self) -> None:
        """Log val/loss, val/top1 and val/top5."""
        self.val_figures = compute_metrics(self.val_metrics)
        figures = {"val/top1": self.val_figures.top1, "val/top5": self.val_figures.top5}
        self.log_dict({"val/loss": self.val_loss.compute(), **figures}, prog_bar=True, sync_dist=True)
        self.val_metrics.reset()
        self.val_loss.reset()

    def on_test_epoch_end(self) -> None:
        """Log test/<name>/top1 and top5 of every test set and what they come to, and keep all in `test_figures`."""
        self.test_figures = {}
        for entry, metrics in zip(self.test_sets, self.test_metrics, strict=True):
            figures = compute_metrics(metrics)
            self.test_figures[entry.name] = figures
            accuracies = {f"test/{entry.name}/top1": figures.top1, f"test/{entry.name}/top5": figures.top5}
            self.log_dict(accuracies, sync_dist=True)
            metrics.reset()
        self.log_dict(
            {f"test/{key}": value for key, value in summarize(self.test_sets, self.test_figures).items()},
            sync_dist=True,
        )

    # Class names and checkpoints

    def _use_classes(self, class_names: Sequence[str]) -> None:
        if class_names is not self._class_names:
            self.model.set_class_names(list(class_names))
            self._class_names = class_names

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put in what `load_model` needs to rebuild the model from this file alone."""
        checkpoint["tc_clip"] = describe_model(self.model)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse weights of another shape in one sentence, before anything is written over."""
        if "state_dict" in checkpoint:  # FSDP has loaded and checked its weights by now
            check_state_dict(checkpoint["state_dict"], self.state_dict())
