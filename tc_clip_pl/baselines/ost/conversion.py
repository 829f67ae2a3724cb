"""Weights of OST under their published names, or OpenAI's, to ours."""

from collections.abc import Mapping

from torch import Tensor

from tc_clip_pl.checkpoints.official import convert_state_dict as convert_clip
from tc_clip_pl.checkpoints.official import list_names
from tc_clip_pl.checkpoints.openai import has_openai_names, rename_openai

TABLE = ("text_encoder.token_embedding.weight", "token_embedding.weight")
"""The published name of the token embedding table, which other models do not train, and that in OpenAI's CLIP."""


def convert_state_dict(published: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert the weights of a published OST.

    Args:
        published: Weights under their published names, with or without the prefix ``module.``.
        expected: State dict of the model that will load them.

    Raises:
        ValueError: If a name is unknown, a weight is missing or left over.
    """
    weights = rename_openai(published) if has_openai_names(published) else published
    weights = {name.removeprefix("module."): value for name, value in weights.items()}
    converted = convert_clip({(TABLE[1] if name == TABLE[0] else name): value for name, value in weights.items()})
    for kind, names in (
        ("missing", expected.keys() - converted.keys()),
        ("superfluous", converted.keys() - expected.keys()),
    ):
        if names:
            raise ValueError(f"The checkpoint has {list_names(kind, sorted(names))}: pass a whole OST checkpoint.")
    return converted
