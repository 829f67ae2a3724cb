"""Weights of OST under their published names to ours."""

from collections.abc import Mapping

from torch import Tensor

from tc_clip_pl.baselines.conversion import convert_published

# Other models do not train the token embedding table, and leave it where CLIP has it.
KEYS = {r"text_encoder\.token_embedding\.weight": "text_model.embeddings.token_embedding.weight"}


def convert_state_dict(published: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert the weights of a published OST.

    Args:
        published: Weights under their published names, or a CLIP's under OpenAI's.
        expected: State dict of the model that will load them.

    Raises:
        ValueError: If a name is unknown, or a weight is missing, left over or of another shape.
    """
    return convert_published(published, KEYS, expected, "OST")
