"""The LightningModule: how a system is trained; `evaluation_steps.py` is how it is evaluated."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from tc_clip_pl.modules.acceleration import Kernels, use_kernels
from tc_clip_pl.modules.recomputation import recompute_activations
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.training.accumulation import loss_weight
from tc_clip_pl.training.checkpoint import check_state_dict, describe_model
from tc_clip_pl.training.class_names import check_resumed_classes
from tc_clip_pl.training.device_clock import Moment, now
from tc_clip_pl.training.distributed import is_sharded, shard
from tc_clip_pl.training.evaluation_steps import EvaluationSteps, ViewMean
from tc_clip_pl.training.objectives.base import Objective
from tc_clip_pl.training.objectives.cross_entropy import CrossEntropy
from tc_clip_pl.training.optimizer import (
    OptimizerFactory,
    SchedulerFactory,
    build_optimizer,
    build_scheduler,
    check_recipe,
    group_parameters,
)
from tc_clip_pl.training.progress import has_bar_of_lightning
from tc_clip_pl.training.training_metrics import TrainingMetrics


class TCCLIPModule(EvaluationSteps):
    """Train and evaluate a system on any data module that has class names and yields batches of videos.

    The Trainer's data module has `class_names` (position = label id) and, for testing, `test_sets`: one `EvaluationSet`
    for each test loader. A batch has `video` (B, V, T, 3, H, W), normalized, and `label`: (B,) class ids, or (B, Y)
    soft targets in training; -1 marks padding.

    Args:
        model: A `VideoCLIP`, such as `TCCLIP`.
        optimizer: Makes the optimizer of parameter groups; only training needs one.
        lr_scheduler: Makes the scheduler of (optimizer, total_steps, steps_per_epoch); without one the rate stays.
        prompting_lr_factor: How many times the optimizer's rate the prompt vectors and the VP block get.
        positions_lr_factor: Likewise for a joint positional embedding, whose equal tables otherwise take thousands of
            steps to tell frames apart.
        decay_vectors: Whether weight decay also acts on vectors: biases, the gains of layer norms, [CLS].
        label_smoothing: Share of each target spread evenly over the classes.
        views_per_forward: Views of a video that evaluation runs at once; with 1, memory does not grow with the views.
        kernels: Implementation of the vision encoder: `plain` PyTorch, `triton` kernels, `compiled` (on a GPU, around
            these), or `auto`, which is compiled on a GPU of compute capability 8.0 or more, and plain elsewhere.
            Outputs are equal within rounding. Compiled, a sharded model (FSDP2) takes a whole copy of its weights on
            each GPU.
        objective: What a training step minimizes; cross-entropy over the classes by default.
        view_mean: What is averaged over the views of a video: the `probability` of each class, or its `logit`.
        checkpoint_activations: Whether training keeps of each layer only its input, the output of its attention and
            which tokens it merged, and computes the rest again in the backward pass: less memory, more time. It works
            with all kernels; the compiled vision encoder is then not replayed as CUDA graphs.

    Attributes:
        run_record: What checkpoints and reports say about the run: its `name`, `config` and `command`.
        batch_arrived: When the loader gave the last batch.

    Raises:
        ValueError: If a rate, the weight decay, the warm-up or the smoothing is out of range.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: OptimizerFactory | None = None,
        lr_scheduler: SchedulerFactory | None = None,
        prompting_lr_factor: float = 10.0,
        positions_lr_factor: float = 1.0,
        label_smoothing: float = 0.1,
        views_per_forward: int = 1,
        kernels: Kernels = "auto",
        checkpoint_activations: bool = False,
        objective: Objective | None = None,
        view_mean: ViewMean = "probability",
        decay_vectors: bool = True,
    ) -> None:
        super().__init__(model, views_per_forward, view_mean)
        self.lr_factors = {"prompting": prompting_lr_factor, "positions": positions_lr_factor}
        check_recipe(optimizer, lr_scheduler, self.lr_factors, label_smoothing)
        # For `load_from_checkpoint(path, model=...)`; not for the logger, since config.yaml has every argument.
        factors = ("prompting_lr_factor", "positions_lr_factor")
        self.save_hyperparameters(*factors, "label_smoothing", "views_per_forward", logger=False)
        self.objective = objective or CrossEntropy()
        self.kernels = kernels
        if checkpoint_activations:
            recompute_activations(model)
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.decay_vectors = decay_vectors
        self.label_smoothing = label_smoothing
        self.run_record: dict[str, Any] = {}
        self.batch_arrived: Moment | None = None

    # Preparation

    def setup(self, stage: str) -> None:
        """Take the class names and test sets from the data module, and create the training and validation metrics.

        Raises:
            ValueError: If the data module has no `class_names`, or the kernels need what is missing here.
        """
        super().setup(stage)
        self._choose_kernels()
        if stage == "fit":
            self.objective.prepare(self.model, self.trainer)
        if stage in ("fit", "validate"):
            self.model.train(stage == "fit")  # from_pretrained returns a model in eval mode, which Lightning keeps
            self.train_metrics = nn.ModuleDict({"step": TrainingMetrics(), "epoch": TrainingMetrics()})

    def _choose_kernels(self) -> None:
        if not isinstance(self.model, TCCLIP):
            return
        device = self.trainer.strategy.root_device  # the model is moved there later, and to the CPU in the end
        # Only ModelParallelStrategy makes a device mesh: it gathers the weights anew for every pass.
        use_kernels(self.model, self.kernels, device, weights_move=self.device_mesh is not None)

    def teardown(self, stage: str) -> None:
        """Free the CUDA graphs, and leave a model that runs anywhere."""
        super().teardown(stage)
        if isinstance(self.model, TCCLIP):
            use_kernels(self.model, "plain")

    def configure_model(self) -> None:
        """Shard the model under `ModelParallelStrategy` (FSDP2); every other strategy keeps it whole."""
        # Only that strategy makes a device mesh. Lightning calls this hook again for every fit and test.
        if self.device_mesh is not None and not is_sharded(self.model):
            shard(self.model, self.device)

    def configure_optimizers(self) -> dict[str, Any]:
        """Build the optimizer with its parameter groups, and the scheduler, stepped once an optimizer step.

        Raises:
            ValueError: If there is no optimizer, or the training has no end for the schedule to reach.
        """
        if self.optimizer is None:
            raise ValueError("TCCLIPModule needs an optimizer to train: give it optimizer=, such as a partial AdamW.")
        model = self.model
        undecayed = model.undecayed_parameter_names()
        if not self.decay_vectors:
            undecayed |= {name for name, parameter in model.named_parameters() if parameter.ndim == 1}
        groups = group_parameters(model, model.prompting_parameter_names(), model.position_parameter_names(), undecayed)
        if own := [parameter for parameter in self.objective.parameters() if parameter.requires_grad]:
            groups.append({"name": "objective", "params": own})
        optimizer = build_optimizer(self.optimizer, groups, self.lr_factors)
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

    # Training steps

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Note when the loader has given a batch, for `SpeedMonitor`: copying and augmenting it is no waiting."""
        self.batch_arrived = now(self.device)
        return batch

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss of the objective, weighted for its optimizer step."""
        num_clips = len(batch.video)  # 0 if every clip of the batch was unreadable and skipped
        if not num_clips and not self.objective.spans_processes:
            # The sum over no logits is a zero loss whose backward pass still reaches every parameter: it keeps this
            # rank in every collective.
            nothing = self.model(batch.video.new_zeros(1, *batch.video.shape[2:])).logits.float()[:0].sum()
            return nothing + sum(0 * parameter.sum() for parameter in self.objective.parameters())
        video = batch.video.squeeze(1)
        loss, logits = self.objective(self.model, video, batch, self.label_smoothing)
        for metric in self.train_metrics.values():
            metric.update(loss, logits, batch.label)
        return loss * loss_weight(self.trainer, num_clips, batch_idx)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Log train/loss_step, and train/top1_step if the objective scores classes."""
        # Here rather than in training_step: a point of the curve is an optimizer step, not one of its micro-batches.
        self._log_training("step", prog_bar=has_bar_of_lightning(self.trainer), batch_size=1)

    def on_train_epoch_end(self) -> None:
        """Log train/loss_epoch, and train/top1_epoch if the objective scores classes."""
        self._log_training("epoch", sync_dist=True)

    def _log_training(self, span: str, **options: Any) -> None:
        metric = self.train_metrics[span]
        values = metric.compute()
        if not self.objective.scores_classes:
            del values["top1"]
        self.log_dict({f"train/{name}_{span}": value for name, value in values.items()}, **options)
        metric.reset()

    # Checkpoints

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
        elif "state_dict" in checkpoint:  # the objective serves training only: its weights stay as they are
            weights = {name: w for name, w in checkpoint["state_dict"].items() if not name.startswith("objective.")}
            own = {f"objective.{name}": weight for name, weight in self.objective.state_dict().items()}
            checkpoint["state_dict"] = {**weights, **own}
        if "state_dict" in checkpoint:  # absent under ModelParallelStrategy, which loads the weights before this hook
            check_state_dict(checkpoint["state_dict"], self.state_dict())
