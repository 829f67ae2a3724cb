"""Published weights of Open-VCLIP and FROSTER: those of a CLIP under OpenAI's names, behind ``model.``."""

from collections.abc import Mapping

from torch import Tensor

from tc_clip_pl.checkpoints.official import convert_state_dict, list_names
from tc_clip_pl.checkpoints.openai import MARK, rename_openai

PREFIX = "model."
TRAINING_ONLY = ("raw_model.", "projector_v.", "projector_t.")
"""FROSTER's teacher, and the projections of its distillation: a trained model does without them."""


def has_open_vclip_names(state_dict: Mapping[str, Tensor]) -> bool:
    """Return whether weights are those of an Open-VCLIP or a FROSTER."""
    return PREFIX + MARK in state_dict


def convert_open_vclip(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert published names and layouts to those of `TCCLIP`; what only training needs is left out.

    Raises:
        ValueError: If a name is unknown.
    """
    kept = {name: value for name, value in state_dict.items() if not name.startswith(TRAINING_ONLY)}
    if unknown := [name for name in kept if not name.startswith(PREFIX)]:
        raise ValueError(f"The checkpoint has {list_names('unknown', unknown)}: pass one of Open-VCLIP or FROSTER.")
    return convert_state_dict(rename_openai({name.removeprefix(PREFIX): value for name, value in kept.items()}))
