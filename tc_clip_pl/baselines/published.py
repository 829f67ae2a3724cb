"""Conversion of other systems' published weights: their own names by a table, CLIP's inside them as OpenAI has them."""

import re
from collections.abc import Collection, Mapping

from torch import Tensor

from tc_clip_pl.checkpoints.official import convert_state_dict, list_names
from tc_clip_pl.checkpoints.openai import rename_openai


def convert_names(
    published: Mapping[str, Tensor], names: Mapping[str, str], clip_prefix: str, system: str
) -> dict[str, Tensor]:
    """Convert published names and layouts to ours.

    Args:
        published: Weights under their published names, with or without the prefix ``module.``.
        names: Pattern of a published name -> our name; the pattern must match the whole name.
        clip_prefix: Before the names of all other weights, which are OpenAI's.
        system: Whose checkpoint is expected, for the error.

    Returns:
        Weights under our names.

    Raises:
        ValueError: If a name is unknown.
    """
    converted, clip, unknown = {}, {}, []
    for key, value in published.items():
        name = key.removeprefix("module.")
        found = ((re.fullmatch(pattern, name), target) for pattern, target in names.items())
        if own := next((match.expand(target) for match, target in found if match), None):
            converted[own] = value
        elif name.startswith(clip_prefix):
            clip[name.removeprefix(clip_prefix)] = value
        else:
            unknown.append(name)
    if unknown:
        raise ValueError(f"The checkpoint has {list_names('unknown', unknown)}: pass a published {system} checkpoint.")
    return {**converted, **convert_state_dict(rename_openai(clip), system)}


def check_complete(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], system: str) -> None:
    """Refuse converted weights that a model lacks, has no place for, or has in another shape.

    Args:
        weights: From `convert_names`.
        expected: The state dict of the model, on any device.
        system: Whose checkpoint is expected, for the error.

    Raises:
        ValueError: Naming the first ones.
    """
    _refuse(expected.keys() - weights.keys(), "lacks", "needed", system)
    _refuse(weights.keys() - expected.keys(), "has", "superfluous", system)
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            raise ValueError(
                f"The checkpoint does not fit this {system}: {name} is {tuple(tensor.shape)} instead of "
                f"{tuple(expected[name].shape)}."
            )


def _refuse(names: Collection[str], verb: str, kind: str, system: str) -> None:
    if names:
        raise ValueError(
            f"The checkpoint {verb} {list_names(kind, sorted(names))}: pass a whole {system} checkpoint, and the "
            "options that it was trained with."
        )
