"""The half of the LightningModule that evaluates: validation, tests with every ensemble weight, prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from lightning.pytorch import LightningModule
from torch import Tensor, nn

from tc_clip_pl.evaluation.aggregate import EvaluationSet, summarize
from tc_clip_pl.evaluation.metrics import ClassificationMetrics, LogLoss, build_metrics, compute_metrics
from tc_clip_pl.training.weight_ensembling import forward_with

ViewMean = Literal["probability", "logit"]


class OnlyTestSet(NamedTuple):
    """The `EvaluationSet` of a data module without `test_sets`."""

    class_names: Sequence[str]
    dataset: str = "data"
    part: str = "test"
    name: str = "data/test"


class EvaluationSteps(LightningModule):
    """Evaluate a system on a data module that has class names and yields batches of videos.

    `TCCLIPModule` adds the training; its docstring says what the data module provides.

    Args:
        model: A `VideoCLIP`.
        views_per_forward: Views of a video that run at once; with 1, memory does not grow with the views.
        view_mean: What is averaged over the views of a video: the `probability` of each class, or its `logit`.

    Attributes:
        test_sets: The `EvaluationSet` of each test loader.
        weight_sets: What a test runs with: for each ensemble weight the parameters that differ from the model's, by
            name. `WeightSpaceEnsemble` sets it; by default the model is tested as it is, under the weight 1.
        test_results: Metrics of the last test by ensemble weight and name of the test set.
        val_results: Metrics of the last validation; None before it.
    """

    def __init__(self, model: nn.Module, views_per_forward: int = 1, view_mean: ViewMean = "probability") -> None:
        super().__init__()
        self.model = model
        self.views_per_forward = views_per_forward
        self.view_mean = view_mean
        self.test_sets: list[EvaluationSet] = []
        self.weight_sets: dict[float, Mapping[str, Tensor]] = {1.0: {}}
        self.test_results: dict[float, dict[str, ClassificationMetrics]] = {}
        self.val_results: ClassificationMetrics | None = None
        self._class_names: Sequence[str] | None = None

    def setup(self, stage: str) -> None:
        """Take the class names and test sets from the data module, and create the validation metrics.

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
            self.val_metrics, self.val_loss = build_metrics(len(class_names)), LogLoss()

    def _use_classes(self, class_names: Sequence[str]) -> None:
        # By identity, not by value: called for every test batch, and setting class names tokenizes all of them.
        if class_names is not self._class_names:
            self.model.set_class_names(list(class_names))
            self._class_names = class_names

    def forward(self, video: Tensor) -> Tensor:
        """Return class probabilities of videos, averaged over their views after the softmax, or before it.

        Args:
            video: (B, V, T, 3, H, W), normalized.

        Returns:
            (B, Y) float32 probabilities.
        """
        total = 0.0
        for views in video.split(self.views_per_forward, dim=1):
            # float() first: under mixed precision the logits are bf16, too coarse for probabilities
            scores = self.model(views.flatten(0, 1)).logits.float()  # (B * v, Y)
            scores = scores.softmax(-1) if self.view_mean == "probability" else scores
            total = total + scores.unflatten(0, views.shape[:2]).sum(1)
        mean = total / video.shape[1]
        return mean if self.view_mean == "probability" else mean.softmax(-1)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Update the validation metrics and loss."""
        probabilities = self(batch.video)
        # Both ignore padding themselves.
        self.val_metrics.update(probabilities, batch.label)
        self.val_loss.update(probabilities, batch.label)

    def on_validation_epoch_end(self) -> None:
        """Log val/loss, val/top1 and val/top5, and keep the metrics in `val_results`."""
        self.val_results = compute_metrics(self.val_metrics)
        accuracies = {"val/top1": self.val_results.top1, "val/top5": self.val_results.top5}
        self.log_dict({"val/loss": self.val_loss.compute(), **accuracies}, prog_bar=True, sync_dist=True)
        self.val_metrics.reset()
        self.val_loss.reset()

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

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Return the ids, labels and (B, Y) probabilities of the videos of a batch."""
        return {"video_id": batch.video_id, "label": batch.label, "probabilities": self(batch.video)}
