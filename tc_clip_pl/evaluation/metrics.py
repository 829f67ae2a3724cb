"""Accuracy metrics of video classification, accumulated over a whole test set.

A metric added here reaches `results.json` by `results.py`, `tcclip report` by `ACCURACIES` in `collect_runs.py`, and
the table printed after a test by `table_rendering.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

PADDING_LABEL = -1
"""Label of entries that only pad distributed batches to equal length; they are never counted."""
TOP = 5


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


def build_metrics(num_classes: int) -> MetricCollection:
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
    # A compute group shares one state between metrics that agree on the first batch, as top-1 and top-5 may.
    return MetricCollection(metrics, compute_groups=False)


def compute_metrics(metrics: MetricCollection) -> ClassificationMetrics:
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
