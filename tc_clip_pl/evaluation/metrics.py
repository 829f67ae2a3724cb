"""Accuracy metrics of video classification, accumulated over a whole test set.

A metric added here reaches `results.json` by `results.py`, `tcclip report` by `ACCURACIES` in `collect_runs.py`, and
the table printed after a test by `table_rendering.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

PADDING_LABEL = -1
"""Label of entries that only pad distributed batches to equal length; they are never counted."""
TOP = 5
UPDATED_AT_ONCE = 64
"""Batches that metrics are handed at once."""


@dataclass(frozen=True)
class ClassificationMetrics:
    """The metrics of a model on one test set; every accuracy is a fraction in [0, 1].

    Attributes:
        num_clips: Number of clips counted.
        top1: Share of clips whose label has the highest score.
        top5: Share of clips whose label is among the five highest scores (among all with fewer classes, so always 1).
        per_class: Top-1 accuracy of each class, None for a class without clips.
        confusion: Clip counts, `confusion[true][predicted]`.
    """

    num_clips: int
    top1: float
    top5: float
    per_class: list[float | None]
    confusion: list[list[int]]

    @property
    def reported_top5(self) -> float | None:
        """`top5`, or None with at most five classes, where it is 1 for any model and says nothing."""
        return self.top5 if len(self.per_class) > TOP else None


class NonFiniteClips(Metric):
    """Number of clips with a score that is not finite: `argmax` would turn such scores into an accuracy."""

    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, scores: Tensor, label: Tensor) -> None:
        """Count the clips of a batch, without padding: `(scores (B, Y), label (B,))`."""
        self.count += (~scores.isfinite().all(-1) & (label != PADDING_LABEL)).sum()

    def compute(self) -> Tensor:
        """Return the number over all processes."""
        return self.count


class LogLoss(Metric):
    """Mean negative logarithm of the probability of the true class, over all clips without padding."""

    total: Tensor  # (2,): summed over clips, clips

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(2), dist_reduce_fx="sum")

    def update(self, probabilities: Tensor, label: Tensor) -> None:
        """Add the clips of a batch: `(probabilities (B, Y), label (B,))`."""
        logarithms = probabilities.clamp_min(1e-12).log()  # clamp: a probability may underflow to 0
        summed = F.nll_loss(logarithms, label, ignore_index=PADDING_LABEL, reduction="sum")
        self.total += torch.stack([summed, (label != PADDING_LABEL).sum()])

    def compute(self) -> Tensor:
        """Return the mean over all processes; 0 if there were no clips."""
        summed, clips = self.total
        return summed / clips.clamp_min(1)


class BufferedMetrics(MetricCollection):
    """Metrics that are handed many batches at once: torchmetrics waits for a GPU some ten times in every update."""

    def __init__(self, metrics: dict[str, Metric]) -> None:
        # A compute group shares one state between metrics that agree on the first batch, as top-1 and top-5 may.
        super().__init__(metrics, compute_groups=False)
        self._batches: list[tuple[Tensor, Tensor]] = []

    def update(self, scores: Tensor, label: Tensor) -> None:
        """Add a batch: `(scores (B, Y), label (B,))`."""
        self._batches.append((scores, label))
        if len(self._batches) == UPDATED_AT_ONCE:
            self._update()

    def compute(self) -> dict[str, Tensor]:
        """Return the values over all batches and processes."""
        self._update()
        return super().compute()

    def reset(self) -> None:
        """Forget all batches."""
        self._batches = []
        super().reset()

    def _update(self) -> None:
        if self._batches:
            super().update(*map(torch.cat, zip(*self._batches, strict=True)))
        self._batches = []


def build_metrics(num_classes: int) -> BufferedMetrics:
    """Build the metrics of one test set; update them with `(scores (B, Y), label (B,))`.

    They accumulate counts, so the result does not depend on the number of processes.

    Args:
        num_classes: Y, at least 2.

    Raises:
        ValueError: If there are fewer than two classes.
    """
    if num_classes < 2:
        raise ValueError(f"Accuracy needs at least two classes, but the test set has {num_classes}; add classes.")
    metrics: dict[str, Metric] = {
        "top1": _build_accuracy(num_classes, top_k=1),
        # torchmetrics raises when top_k exceeds the number of classes.
        "top5": _build_accuracy(num_classes, top_k=min(TOP, num_classes)),
        "confusion": MulticlassConfusionMatrix(num_classes, ignore_index=PADDING_LABEL),
        "not_finite": NonFiniteClips(),
    }
    return BufferedMetrics(metrics)


def compute_metrics(metrics: BufferedMetrics) -> ClassificationMetrics:
    """Compute the values of metrics from `build_metrics`; the accuracy of an empty test set is 0.

    Raises:
        ValueError: If a clip has scores that are not finite.
    """
    values = metrics.compute()
    if bad := int(values["not_finite"]):
        raise ValueError(
            f"The scores of {bad} of {int(values['confusion'].sum())} clips are not finite, so there is no accuracy to "
            "report: the weights have diverged; train with a lower learning rate, or test an earlier checkpoint."
        )
    confusion = values["confusion"].cpu()
    return ClassificationMetrics(
        num_clips=int(confusion.sum()),
        top1=float(values["top1"]),
        top5=float(values["top5"]),
        per_class=per_class_accuracy(confusion),
        confusion=confusion.tolist(),
    )


def per_class_accuracy(confusion: Tensor) -> list[float | None]:
    """Return the top-1 accuracy of each class from a confusion matrix.

    Args:
        confusion: (Y, Y) counts, one row per true class.

    Returns:
        Y fractions, None for a class without clips.

    Example:
        >>> per_class_accuracy(torch.tensor([[3, 1], [0, 0]]))
        [0.75, None]
    """
    clips = confusion.sum(dim=1).tolist()
    correct = confusion.diagonal().tolist()
    return [c / n if n else None for c, n in zip(correct, clips, strict=True)]


def _build_accuracy(num_classes: int, top_k: int) -> MulticlassAccuracy:
    # Micro average: every clip counts the same, as in the paper; torchmetrics averages over classes by default.
    return MulticlassAccuracy(num_classes, top_k=top_k, average="micro", ignore_index=PADDING_LABEL)
