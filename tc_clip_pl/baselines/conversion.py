"""From the names and layouts in published checkpoints of the compared systems to ours."""

import re
from collections.abc import Mapping

from torch import Tensor

from tc_clip_pl.checkpoints.official import KEYS, convert_state_dict, list_names
from tc_clip_pl.checkpoints.openai import rename_openai


def convert_published(
    published: Mapping[str, Tensor],
    keys: Mapping[str, str],
    expected: Mapping[str, Tensor],
    title: str,
    renamed: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Convert a published state dict: CLIP's weights by OpenAI's names, the system's own by a table.

    Args:
        published: Weights under their published names.
        keys: Pattern of a name that CLIP does not have, with OpenAI's ``visual.`` read as ``image_encoder.`` -> our
            name; it must match the whole name.
        expected: State dict of the model that will load them.
        title: Name of the system, for errors.
        renamed: Further weights, under our names and in our layout already.

    Returns:
        Weights under our names, which the model can load.

    Raises:
        ValueError: If a name is unknown, or a weight is missing, left over or of another shape.
    """
    converted = convert_state_dict(rename_openai(published), {**keys, **KEYS}, title) | dict(renamed or {})
    if missing := sorted(expected.keys() - converted.keys()):
        raise ValueError(f"The checkpoint lacks {list_names('needed', missing)}: pass a whole {title} checkpoint.")
    if extra := sorted(converted.keys() - expected.keys()):
        raise ValueError(f"The checkpoint has {list_names('superfluous', extra)}: it is of another {title}.")
    for name, tensor in converted.items():
        if tensor.shape != expected[name].shape:
            raise ValueError(
                f"The checkpoint is of another {title}: {name} is {tuple(tensor.shape)} instead of "
                f"{tuple(expected[name].shape)}."
            )
    return converted


def split_names(
    published: Mapping[str, Tensor], names: Mapping[str, str], clip_prefix: str
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Part the weights that a table names from those of a CLIP inside the checkpoint.

    Args:
        published: Weights under their published names, with or without the prefix ``module.``.
        names: Pattern of a published name -> our name; it must match the whole name.
        clip_prefix: What stands before OpenAI's names.

    Returns:
        The first ones under our names, in their published layout; all others without ``clip_prefix``, for
        `convert_published`.
    """
    own, others = {}, {}
    for key, value in published.items():
        name = key.removeprefix("module.")
        found = ((re.fullmatch(pattern, name), target) for pattern, target in names.items())
        ours = next((match.expand(target) for match, target in found if match), None)
        (others if ours is None else own)[ours or name.removeprefix(clip_prefix)] = value
    return own, others
