"""Published weights of Open-VCLIP and FROSTER: those of a CLIP under OpenAI's names, behind ``model.``."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tc_clip_pl.checkpoints.official import convert_state_dict, list_names
from tc_clip_pl.checkpoints.openai import OPEN_VCLIP_PREFIX, rename_openai

TRAINING_ONLY = ("raw_model.", "projector_v.", "projector_t.")
"""FROSTER's teacher, and the projections of its distillation: a trained model does without them."""

INPUT = {
    "num_temporal_views": 3,
    "window_seconds": 8 * 16 / 30,
    "mean": (122.771, 116.746, 104.094),
    "std": (68.501, 66.632, 70.323),
}
"""How clips are sampled and normalized for these weights, as the options of the data name it."""


def open_vclip_options(state_dict: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the options of the `TCCLIPConfig` that published weights belong to; only FROSTER's have a teacher."""
    options = {"num_frames": 8, "reference_tokens": "window", "frame_pooling": "mean_cosine"}
    if any(name.startswith(TRAINING_ONLY) for name in state_dict):
        return {**options, "prompting": "described_ensemble", "train_token_embeddings": True}
    return {**options, "prompting": "template_ensemble"}


def convert_open_vclip(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert published names and layouts to those of `TCCLIP`; what only training needs is left out.

    Raises:
        ValueError: If a name is unknown.
    """
    kept = {name: value for name, value in state_dict.items() if not name.startswith(TRAINING_ONLY)}
    if unknown := [name for name in kept if not name.startswith(OPEN_VCLIP_PREFIX)]:
        raise ValueError(f"The checkpoint has {list_names('unknown', unknown)}: pass one of Open-VCLIP or FROSTER.")
    return convert_state_dict(
        rename_openai({name.removeprefix(OPEN_VCLIP_PREFIX): value for name, value in kept.items()})
    )
