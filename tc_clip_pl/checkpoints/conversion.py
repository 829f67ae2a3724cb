"""From published weights and the CLIP that was fine-tuned to a whole model, which can be saved."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tc_clip_pl.checkpoints.official import TOKEN_EMBEDDING, convert_state_dict, list_names
from tc_clip_pl.checkpoints.open_vclip import convert_open_vclip, open_vclip_options
from tc_clip_pl.checkpoints.openai import has_open_vclip_names
from tc_clip_pl.modules.backbone.interface import POSITION_TABLE
from tc_clip_pl.modules.loading import is_plain_clip
from tc_clip_pl.modules.tc_clip import TCCLIP

FRAME_WISE = {"reference_tokens": "none", "prompting": "template"}
"""The model of a checkpoint that has CLIP's weights only, such as ViFi-CLIP's."""
PUBLISHED_TABLE = "image_encoder.positional_embedding"
PROMPTS, PROMPTING = "prompt_learner.prompt_vectors", "prompt_generation_layer."


def load_onto_clip(state_dict: Mapping[str, Tensor], clip: str, **options: Any) -> TCCLIP:
    """Build a model from published weights on top of the CLIP that was fine-tuned, with its tokenizer.

    CLIP tells sizes, heads and token embeddings, the weights which of TC-CLIP's parts there are.

    Args:
        state_dict: Weights under their published names, with or without the prefix ``module.``.
        clip: A folder in Hugging Face's format, a name on its hub, or "world".
        **options: Options of `TCCLIPConfig` that weights do not tell, such as ``num_frames=8``.

    Returns:
        The model in evaluation mode, which knows its CLIP.

    Raises:
        OSError: If there is no such CLIP, or the hub cannot be reached.
        ValueError: If a name is unknown, a weight is missing or does not fit that CLIP, or an option contradicts the
            weights.
    """
    if not is_plain_clip(clip):
        raise ValueError(f"{clip} is not a plain CLIP: name the one that was fine-tuned.")
    is_open_vclip = has_open_vclip_names(state_dict)
    weights = convert_open_vclip(state_dict) if is_open_vclip else convert_state_dict(state_dict)
    if POSITION_TABLE not in weights:
        raise ValueError("The checkpoint lacks the weights of a vision encoder: pass a whole TC-CLIP checkpoint.")
    inferred = open_vclip_options(state_dict) if is_open_vclip else _infer_options(state_dict, weights)
    model = TCCLIP.from_pretrained(clip, **{**inferred, **options})
    expected = model.state_dict()
    weights = {TOKEN_EMBEDDING: expected[TOKEN_EMBEDDING], **weights}  # published files leave it out
    _check(weights, expected, clip)
    model.load_state_dict(weights)
    return model


def _infer_options(state_dict: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the options that published weights tell; `weights` are the same, converted."""
    options = dict(FRAME_WISE)
    if PROMPTS in weights or any(name.startswith(PROMPTING) for name in weights):
        options = {"local_global_bias": any(name.endswith("local_global_bias") for name in weights)}
    if PROMPTS in weights:
        options["num_prompt_vectors"] = len(weights[PROMPTS])
    table = next(value for name, value in state_dict.items() if name.removeprefix("module.") == PUBLISHED_TABLE)
    if table.dim() == 3:  # (T, N, D): a table for every frame
        options |= {"positional_embedding": "joint", "num_frames": len(table)}
    return options


def _check(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], clip: str) -> None:
    if missing := sorted(expected.keys() - weights.keys()):
        raise ValueError(f"The checkpoint lacks {list_names('needed', missing)}: pass a whole TC-CLIP checkpoint.")
    if extra := sorted(weights.keys() - expected.keys()):
        raise ValueError(f"The checkpoint has {list_names('superfluous', extra)}: it was not fine-tuned from {clip}.")
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape:
            raise ValueError(
                f"The checkpoint does not fit {clip}: {name} is {tuple(tensor.shape)} instead of "
                f"{tuple(expected[name].shape)}; name the CLIP that was fine-tuned."
            )
