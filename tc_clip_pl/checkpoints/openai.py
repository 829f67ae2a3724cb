"""OpenAI's original names of CLIP's weights, as the state dict of a model of their package has them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

MARK = "visual.conv1.weight"
"""A weight that every CLIP with a vision transformer has under OpenAI's names, and no other model."""
OPEN_VCLIP_PREFIX = "model."
"""What Open-VCLIP and FROSTER put before OpenAI's names."""
NAMES = {
    r"visual\.(.+)": r"image_encoder.\1",
    r"transformer\.(.+)": r"text_encoder.transformer.\1",
    r"(ln_final\.\w+|positional_embedding|text_projection)": r"text_encoder.\1",
    r"(token_embedding\.weight|logit_scale)": r"\1",
}
"""OpenAI's name -> the name in published TC-CLIP checkpoints, which stand on the same CLIP."""
NO_WEIGHTS = ("input_resolution", "context_length", "vocab_size")
"""Sizes that OpenAI's own files hold beside the weights; the shapes tell them too."""


def has_openai_names(state_dict: Mapping[str, Tensor]) -> bool:
    """Return whether weights have OpenAI's names, with or without the prefix ``module.``."""
    return any(name.removeprefix("module.") == MARK for name in state_dict)


def has_open_vclip_names(state_dict: Mapping[str, Tensor]) -> bool:
    """Return whether weights are those of an Open-VCLIP or a FROSTER."""
    return OPEN_VCLIP_PREFIX + MARK in state_dict


def rename_openai(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename OpenAI's weights to the names in published TC-CLIP checkpoints; unknown names stay as they are."""
    renamed = {}
    for key, value in state_dict.items():
        name = key.removeprefix("module.")
        if name not in NO_WEIGHTS:
            found = ((re.fullmatch(pattern, name), target) for pattern, target in NAMES.items())
            renamed[next((match.expand(target) for match, target in found if match), name)] = value
    return renamed
