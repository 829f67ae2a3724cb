"""Operators of the model that PyTorch's ONNX exporter does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def stable_sort(values: Any, *, stable: bool, dim: int = -1, descending: bool = False) -> Any:
    """Translate `torch.sort(stable=True)`: ONNX's TopK puts the first of equal values first."""
    from onnxscript import opset18 as op

    count = op.Gather(op.Shape(values), op.Constant(value_ints=[dim]))
    return op.TopK(values, count, axis=dim, largest=int(descending), sorted=1)


TRANSLATIONS: dict[Any, Callable[..., Any]] = {torch.ops.aten.sort.stable: stable_sort}
"""For ``torch.onnx.export(custom_translation_table=...)``."""
