"""Freezing most of a CLIP."""

from collections.abc import Collection

from torch import nn


def freeze_all_but(model: nn.Module, trained: Collection[str]) -> None:
    """Freeze all parameters of a model but those of some names."""
    for name, parameter in model.named_parameters():
        if name not in trained:
            parameter.requires_grad_(False)
