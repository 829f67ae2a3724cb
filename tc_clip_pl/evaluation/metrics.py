"""Accuracies of video classification, summed up over a whole test set."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

PADDING_LABEL = -1
"""Label of the entries that only make distributed batches come out even; they are never counted."""


@dataclass(frozen=True)
class ClassificationFigures:
    """What a test set says about a model; every accuracy is a fraction in [0, 1].

    Attributes:
        num_clips: Clips counted.
        top1: Share of clips whose label scores highest.
        top5: Share of clips whose label is among the five highest scores (all classes when there are fewer).
        per_class: Top-1 accuracy of each class, None for a class without clips.
        confusion: Counts, `confusion[true][predicted]`.
    """

    num_clips: int
    top1: float
    top5: float
    per_class: list[float | None]
    confusion: list[list[int]]


def build_metrics(num_classes: int) -> MetricCollection:
    """Make the metrics of one test set; feed them `(scores (B, Y), label (B,))`.

    They add up counts, so that any number of processes gives the same figures as one.

    Args:
        num_classes: Y, at least 2.

    Raises:
        ValueError: If there are fewer than two classes.
    """
    if num_classes < 2:
        raise ValueError(f"Accuracy needs at least two classes, got {num_classes}.")
    metrics: dict[str, Metric] = {
        "top1": _accuracy(num_classes, top_k=1),
        "top5": _accuracy(num_classes, top_k=min(5, num_classes)),
        "confusion": MulticlassConfusionMatrix(num_classes, ignore_index=PADDING_LABEL),
    }
    # Grouping shares one state between metrics whose states agree on the first batch, as top-1 and top-5 may do.
    return MetricCollection(metrics, compute_groups=False)


def compute_figures(metrics: MetricCollection) -> ClassificationFigures:
    """Read the figures off metrics made by `build_metrics`; an empty test set has accuracy 0."""
    values = metrics.compute()
    confusion = values["confusion"].cpu()
    return ClassificationFigures(
        num_clips=int(confusion.sum()),
        top1=float(values["top1"]),
        top5=float(values["top5"]),
        per_class=per_class_accuracy(confusion),
        confusion=confusion.tolist(),
    )


def per_class_accuracy(confusion: Tensor) -> list[float | None]:
    """Top-1 accuracy of each class from a confusion matrix.

    Args:
        confusion: (Y, Y) counts, rows the true class.

    Returns:
        Y fractions, None where a class has no clips.

    Example:
        >>> per_class_accuracy(torch.tensor([[3, 1], [0, 0]]))
        [0.75, None]
    """
    clips = confusion.sum(dim=1).tolist()
    right = confusion.diagonal().tolist()
    return [r / n if n else None for r, n in zip(right, clips, strict=True)]


def _accuracy(num_classes: int, top_k: int) -> MulticlassAccuracy:
    return MulticlassAccuracy(num_classes, top_k=top_k, average="micro", ignore_index=PADDING_LABEL)
