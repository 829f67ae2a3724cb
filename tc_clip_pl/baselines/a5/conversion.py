"""The names of published A5 weights."""

from collections.abc import Mapping

import torch
from torch import Tensor

from tc_clip_pl.baselines.a5.config import A5Config
from tc_clip_pl.baselines.a5.model import A5
from tc_clip_pl.baselines.conversion import convert_published, split_names

LAYER = r"temporalModelling\.resblocks\.(\d+)"
# Pattern of a published name -> our name.
NAMES = {
    r"embedding\.weight": "prompt_table",
    r"temporalEmbedding\.weight": "temporal.position_table",
    rf"{LAYER}\.attn\.(.+)": r"temporal.layers.\1.self_attn.\2",
    rf"{LAYER}\.ln_([12])\.(\w+)": r"temporal.layers.\1.norm\2.\3",
    rf"{LAYER}\.mlp\.c_fc\.(\w+)": r"temporal.layers.\1.linear1.\2",
    rf"{LAYER}\.mlp\.c_proj\.(\w+)": r"temporal.layers.\1.linear2.\2",
}
CLIP_PREFIX = "clipmodel."


def convert_a5(published: Mapping[str, Tensor], config: A5Config) -> dict[str, Tensor]:
    """Convert published weights to the state dict of an `A5`.

    The authors read frames with red and blue swapped, so their weights want BGR pixels.

    Args:
        published: Weights under their published names, with or without the prefix ``module.``.
        config: Configuration of the model that will hold them.

    Raises:
        ValueError: If a name is unknown, or a weight is missing, superfluous or of another shape.
    """
    own, clip = split_names(published, NAMES, CLIP_PREFIX)
    with torch.device("meta"):
        expected = A5(config).state_dict()
    return convert_published(clip, {}, expected, A5.title, renamed=own)
