"""The LightningModule: how TC-CLIP is trained and evaluated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MeanMetric, MetricCollection

from tc_clip_pl.evaluation.aggregate import EvaluationSet, summarize
from tc_clip_pl.evaluation.metrics import PADDING_LABEL, ClassificationMetrics, build_metrics, compute_metrics
from tc_clip_pl.training.accumulation import loss_weight
from tc_clip_pl.training.checkpoint import check_state_dict, describe_model
from tc_clip_pl.training.class_names import check_resumed_classes
from tc_clip_pl.training.distributed import is_sharded, shard
from tc_clip_pl.training.optimizer import (
    OptimizerFactory,
    SchedulerFactory,
    build_optimizer,
    build_scheduler,
    check_recipe,
    group_parameters,
)
from tc_clip_pl.training.training_metrics import TrainingMetrics
from tc_clip_pl.training.weight_ensembling import forward_with


class OnlyTestSet(NamedTuple):
    """The `EvaluationSet` of a data module without `test_sets`."""

    class_names: Sequence[str]
    dataset: str = "data"
    part: str = "test"
    name: str = "data/test"


class TCCLIPModule(LightningModule):
    """Train and evaluate a TC-CLIP on any data module that has class names and yields batches of videos.

    The Trainer's data module has `class_names` (position = label id) and, for testing, `test_sets`: one `EvaluationSet`
    for each test loader. A batch has `video` (B, V, T, 3, H, W), normalized, and `label`: (B,) class ids, or (B, Y)
    soft targets in training; -1 marks padding.

    Args:
        model: A `TCCLIP`.
        optimizer: Makes the optimizer of parameter groups; only training needs one.
        lr_scheduler: Makes the scheduler of (optimizer, total_steps, steps_per_epoch); without one the rate stays.
        prompting_lr_factor: How many times the optimizer's rate the prompt vectors and the VP block get.
        label_smoothing: Share of each target spread evenly over the classes.
        views_per_forward: Views of a video that evaluation runs at once; with 1, memory does not grow with the views.

    Attributes:
        weight_sets: What a test runs with: for each ensemble weight the parameters that differ from the model's, by
            name. `WeightSpaceEnsemble` sets it; by default the model is tested as it is, under the weight 1.
        test_results: Metrics of the last test by ensemble weight and name of the test set.
        val_results: Metrics of the last validation; None before it.
        run_record: What checkpoints and reports say about the run: its `name`, `config` and `command`.

    Raises:
        ValueError: If a rate, the weight decay, the warm-up or the smoothing is out of range.
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
        check_recipe(optimizer, lr_scheduler, prompting_lr_factor, label_smoothing)
        # For `load_from_checkpoint(path, model=...)`; not for the logger, since config.yaml has every argument.
        self.save_hyperparameters("prompting_lr_factor", "label_smoothing", "views_per_forward", logger=False)
        self.model = model
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.prompting_lr_factor = prompting_lr_factor
        self.label_smoothing = label_smoothing
        self.views_per_forward = views_per_forward
        self.test_sets: list[EvaluationSet] = []
        self.weight_sets: dict[float, Mapping[str, Tensor]] = {1.0: {}}
        self.test_results: dict[float, dict[str, ClassificationMetrics]] = {}
        self.val_results: ClassificationMetrics | None = None
        self.run_record: dict[str, Any] = {}
        self._class_names: Sequence[str] | None = None

    # Preparation

    def setup(self, stage: str) -> None:
        """Take the class names and test sets from the data module, and create the training and validation metrics.

        Raises:
            ValueError: If the data module has no `class_names`.
        """
        datamodule = self.trainer.datamodule
        if not hasattr(datamodule, "class_names"):
            raise ValueError("TCCLIPModule needs a data module with `class_names`: give one to the Trainer.")
        class_names = datamodule.class_names
        self._class_names = None
        self._use_classes(class_names)
        if stage == "test":
            self.test_sets = list(getattr(datamodule, "test_sets", [])) or [OnlyTestSet(class_names)]
        elif stage in ("fit", "validate"):
            self.model.train(stage == "fit")  # from_pretrained returns a model in eval mode, which Lightning keeps
            self.train_metrics = nn.ModuleDict({"step": TrainingMetrics(), "epoch": TrainingMetrics()})
            self.val_metrics, self.val_loss = build_metrics(len(class_names)), MeanMetric()

    def configure_model(self) -> None:
        """Shard the model under `ModelParallelStrategy` (FSDP2); every other strategy keeps it whole."""
        # Only that strategy makes a device mesh. Lightning calls this hook again for every fit and test.
        if self.device_mesh is not None and not is_sharded(self.model):
            shard(self.model, self.device)

    def configure_optimizers(self) -> dict[str, Any]:
        """Build the optimizer with its two parameter groups, and the scheduler, stepped once an optimizer step.

        Raises:
            ValueError: If there is no optimizer, or the training has no end for the schedule to reach.
        """
        if self.optimizer is None:
            raise ValueError("TCCLIPModule needs an optimizer to train: give it optimizer=, such as a partial AdamW.")
        groups = group_parameters(self.model, self.model.prompting_parameter_names())
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
        """Return class probabilities of videos, averaged over their views after the softmax.

        Args:
            video: (B, V, T, 3, H, W), normalized.

        Returns:
            (B, Y) float32 probabilities.
        """
        total = 0.0
        for views in video.split(self.hparams.views_per_forward, dim=1):
            logits = self.model(views.flatten(0, 1)).logits  # (B * v, Y)
            # float() first: under mixed precision the logits are bf16, too coarse for probabilities
            total = total + logits.float().softmax(-1).unflatten(0, views.shape[:2]).sum(1)
        return total / video.shape[1]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the smoothed cross-entropy with class ids or soft targets, weighted for its optimizer step."""
        num_clips = len(batch.video)  # 0 if every clip of the batch was unreadable and skipped
        video = batch.video.squeeze(1) if num_clips else batch.video.new_zeros(1, *batch.video.shape[2:])
        logits = self.model(video).logits.float()[:num_clips]  # (B, Y)
        # Without clips, the sum over no logits is a zero loss whose backward pass still reaches every parameter: it
        # keeps this rank in every collective.
        smoothing = self.hparams.label_smoothing
        loss = F.cross_entropy(logits, batch.label, label_smoothing=smoothing) if num_clips else logits.sum()
        for metric in self.train_metrics.values():
            metric.update(loss, logits, batch.label)
        return loss * loss_weight(self.trainer, num_clips, batch_idx) if num_clips else loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Log train/loss_step and train/top1_step."""
        # Here rather than in training_step: a point of the curve is an optimizer step, not one of its micro-batches.
        self._log_training("step", prog_bar=True, batch_size=1)

    def on_train_epoch_end(self) -> None:
        """Log train/loss_epoch and train/top1_epoch."""
        self._log_training("epoch", sync_dist=True)

    def _log_training(self, span: str, **options: Any) -> None:
        metric = self.train_metrics[span]
        self.log_dict({f"train/{name}_{span}": value for name, value in metric.compute().items()}, **options)
        metric.reset()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Update the validation metrics and loss."""
        self._shared_step(batch, self.val_metrics, self.val_loss)

    def on_test_start(self) -> None:
        """Create metrics for each set of weights and each test set."""
        # Not in `setup`: callbacks set the weights only after the checkpoint is loaded.
        per_weight = [[build_metrics(len(entry.class_names)) for entry in self.test_sets] for _ in self.weight_sets]
        self.test_metrics = nn.ModuleList(map(nn.ModuleList, per_weight)).to(self.device)
        self.test_results = {}

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Update the metrics of one test set with each set of weights, classifying among its own classes."""
        self._use_classes(self.test_sets[dataloader_idx].class_names)
        for (weight, tensors), metrics in zip(self.weight_sets.items(), self.test_metrics, strict=True):
            metrics[dataloader_idx].update(forward_with(self, weight, tensors, batch.video), batch.label)

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Return the ids, labels and (B, Y) probabilities of the videos of a batch."""
        return {"video_id": batch.video_id, "label": batch.label, "probabilities": self(batch.video)}

    def _shared_step(self, batch: Any, metrics: MetricCollection, mean_loss: MeanMetric | None = None) -> None:
        probabilities = self(batch.video)
        metrics.update(probabilities, batch.label)  # they ignore padding themselves
        counted = batch.label != PADDING_LABEL
        if mean_loss is not None and counted.any():
            log_likelihood = probabilities[counted].clamp_min(1e-12).log()  # clamp: a probability may underflow to 0
            mean_loss.update(F.nll_loss(log_likelihood, batch.label[counted]), weight=counted.sum())

    # Results

    def on_validation_epoch_end(self) -> None:
        """Log val/loss, val/top1 and val/top5, and keep the metrics in `val_results`."""
        self.val_results = compute_metrics(self.val_metrics)
        accuracies = {"val/top1": self.val_results.top1, "val/top5": self.val_results.top5}
        self.log_dict({"val/loss": self.val_loss.compute(), **accuracies}, prog_bar=True, sync_dist=True)
        self.val_metrics.reset()
        self.val_loss.reset()

    def on_test_epoch_end(self) -> None:
        """Log test/<name>/top1 and top5 of every test set and their summary, and keep all in `test_results`.

        The keys of an ensemble weight other than 1 end in it, such as test/<name>/top1_w0.7.
        """
        for weight, metrics in zip(self.weight_sets, self.test_metrics, strict=True):
            ending = "" if weight == 1.0 else f"_w{weight:g}"
            names = [entry.name for entry in self.test_sets]
            results = {name: compute_metrics(metric) for name, metric in zip(names, metrics, strict=True)}
            logged = {f"{name}/{key}": getattr(results[name], key) for name in names for key in ("top1", "top5")}
            logged |= summarize(self.test_sets, results)
            self.log_dict({f"test/{key}{ending}": value for key, value in logged.items()}, sync_dist=True)
            self.test_results[weight] = results
        del self.test_metrics

    # Class names and checkpoints

    def _use_classes(self, class_names: Sequence[str]) -> None:
        # By identity, not by value: called for every test batch, and setting class names tokenizes all of them.
        if class_names is not self._class_names:
            self.model.set_class_names(list(class_names))
            self._class_names = class_names

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the model from this file alone, and says how it was trained."""
        checkpoint["tc_clip"] = describe_model(self.model, self._class_names or (), self.run_record)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Reject weights of another model before any weight is overwritten, and other classes where training goes on.

        Raises:
            ValueError: If a name or a shape differs.
        """
        if self._class_names is not None and self.trainer.training:  # None without a trainer: `load_from_checkpoint`
            check_resumed_classes(self._class_names, checkpoint)
        if "state_dict" in checkpoint:  # absent under ModelParallelStrategy, which loads the weights before this hook
            check_state_dict(checkpoint["state_dict"], self.state_dict())
