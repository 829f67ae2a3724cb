"""Conversion of the authors' published checkpoints, key by key."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from tc_clip_pl.checkpoints.inert import read_inert
from tc_clip_pl.checkpoints.openai import has_open_vclip_names, has_openai_names, rename_openai
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.tc_clip import TCCLIP

VISION_LAYER, TEXT_LAYER = (
    r"image_encoder\.transformer\.resblocks\.(\d+)",
    r"text_encoder\.transformer\.resblocks\.(\d+)",
)
PROMPTING = r"text_encoder\.prompt_generation_layer\.0"
# Pattern of a published name -> our name. The pattern must match the whole name; the first match counts, so that
# `local_global_bias_table` is not taken by the general `attn` pattern below it.
KEYS = {
    r"logit_scale": "logit_scale",
    r"token_embedding\.weight": "text_model.embeddings.token_embedding.weight",
    r"prompt_learner\.ctx": "prompt_learner.prompt_vectors",
    r"image_encoder\.conv1\.weight": "vision_model.embeddings.patch_embedding.weight",
    r"image_encoder\.class_embedding": "vision_model.embeddings.class_embedding",
    r"image_encoder\.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    r"image_encoder\.ln_pre\.(\w+)": r"vision_model.pre_layrnorm.\1",
    r"image_encoder\.ln_post\.(\w+)": r"vision_model.post_layernorm.\1",
    r"image_encoder\.proj": "visual_projection.weight",
    r"text_encoder\.positional_embedding": "text_model.embeddings.position_embedding.weight",
    r"text_encoder\.ln_final\.(\w+)": r"text_model.final_layer_norm.\1",
    r"text_encoder\.text_projection": "text_projection.weight",
    rf"{VISION_LAYER}\.attn\.local_global_bias_table": r"vision_model.encoder.layers.\1.self_attn.local_global_bias",
    rf"{VISION_LAYER}\.attn\.(.+)": r"vision_model.encoder.layers.\1.self_attn.\2",
    rf"{VISION_LAYER}\.ln_([12])\.(\w+)": r"vision_model.encoder.layers.\1.layer_norm\2.\3",
    rf"{VISION_LAYER}\.mlp\.c_fc\.(\w+)": r"vision_model.encoder.layers.\1.mlp.fc1.\2",
    rf"{VISION_LAYER}\.mlp\.c_proj\.(\w+)": r"vision_model.encoder.layers.\1.mlp.fc2.\2",
    rf"{TEXT_LAYER}\.attn\.(.+)": r"text_model.encoder.layers.\1.self_attn.\2",
    rf"{TEXT_LAYER}\.ln_([12])\.(\w+)": r"text_model.encoder.layers.\1.layer_norm\2.\3",
    rf"{TEXT_LAYER}\.mlp\.c_fc\.(\w+)": r"text_model.encoder.layers.\1.mlp.fc1.\2",
    rf"{TEXT_LAYER}\.mlp\.c_proj\.(\w+)": r"text_model.encoder.layers.\1.mlp.fc2.\2",
    rf"{PROMPTING}\.attn\.(.+)": r"prompt_generation_layer.cross_attn.\1",
    rf"{PROMPTING}\.ln_1\.(\w+)": r"prompt_generation_layer.layer_norm_prompt.\1",
    rf"{PROMPTING}\.ln_1_kv\.(\w+)": r"prompt_generation_layer.layer_norm_context.\1",
    rf"{PROMPTING}\.ln_2\.(\w+)": r"prompt_generation_layer.layer_norm2.\1",
    rf"{PROMPTING}\.mlp\.c_fc\.(\w+)": r"prompt_generation_layer.mlp.fc1.\1",
    rf"{PROMPTING}\.mlp\.c_proj\.(\w+)": r"prompt_generation_layer.mlp.fc2.\1",
}
# Token embeddings of one run's class names, not learned: ours come from the tokenizer.
IGNORED = ("prompt_learner.token_prefix", "prompt_learner.token_suffix")
TOKEN_EMBEDDING = "text_model.embeddings.token_embedding.weight"
WEIGHT_KEYS = ("model", "state_dict", "model_state")  # where files hold their weights, if not at the top
SHOWN = 8  # names in an error: hundreds would hide what is wrong
HEAD_WIDTH = 64  # in every CLIP that OpenAI published; weights alone do not tell the number of heads


def load_official_checkpoint(path: str | Path, **options: object) -> TCCLIP:
    """Load a published ``.pth`` file without running any code that is pickled in it.

    Args:
        path: The file.
        **options: As in `load_official_state_dict`. ``token_embedding`` is required: the files do not contain it.

    Returns:
        As `load_official_state_dict`.

    Raises:
        ValueError: As `load_official_state_dict`, or if the file has no ``model`` or pickles calls to the system.
    """
    return load_official_state_dict(published_weights(read_inert(path), path), **options)


def published_weights(checkpoint: Any, path: str | Path) -> Mapping[str, Tensor]:
    """Return the weights in a published checkpoint, or in a file of CLIP's weights under OpenAI's names.

    Args:
        checkpoint: From `read_inert`.
        path: Its file, for the error.

    Raises:
        ValueError: If it has no weights under the key ``model``, nor OpenAI's names.
    """
    keys = sorted(map(str, checkpoint)) if isinstance(checkpoint, Mapping) else []
    holder = next((key for key in WEIGHT_KEYS if key in keys), None)
    weights = checkpoint[holder] if holder else checkpoint
    if isinstance(weights, Mapping) and has_openai_names(weights):
        return rename_openai(weights)
    if isinstance(weights, Mapping) and has_open_vclip_names(weights):
        return weights
    if "model" not in keys:
        found = ", ".join(keys[:SHOWN]) or "something else"
        raise ValueError(f"{path} has no key 'model', only {found}: pass a published TC-CLIP checkpoint.")
    if not isinstance(weights, Mapping):
        raise ValueError(f"{path} holds no weights under the key 'model': pass a published TC-CLIP checkpoint.")
    return weights


def load_official_state_dict(
    state_dict: Mapping[str, Tensor],
    num_frames: int = 16,
    seed_ratio: float = 0.3,
    num_context_tokens: int = 96,
    merges_per_round: int = 100,
    positional_embedding: str = "space",
    token_embedding: Tensor | None = None,
) -> TCCLIP:
    """Build a TC-CLIP from published weights; widths and numbers of layers follow from their shapes.

    Args:
        state_dict: Weights under their published names, with or without the prefix ``module.``.
        num_frames: As in `TCCLIPConfig`, like the next four; weights do not tell them.
        seed_ratio: alpha.
        num_context_tokens: k.
        merges_per_round: r.
        positional_embedding: "space" or "joint".
        token_embedding: (vocabulary size, d), from the CLIP that was fine-tuned, if ``state_dict`` has none.

    Returns:
        The model in evaluation mode. It has no tokenizer: set one, or use `TCCLIP.set_class_tokens`.

    Raises:
        ValueError: If a name is unknown, a weight is missing or has another shape, or there is no token embedding.
    """
    converted = convert_state_dict(state_dict)
    if token_embedding is not None:
        converted[TOKEN_EMBEDDING] = token_embedding
    if TOKEN_EMBEDDING not in converted:
        raise ValueError(
            "The checkpoint has no token embeddings: pass `token_embedding`, taken from the CLIP that was fine-tuned."
        )
    config = infer_config(
        converted,
        num_frames=num_frames,
        seed_ratio=seed_ratio,
        num_context_tokens=num_context_tokens,
        merges_per_round=merges_per_round,
        positional_embedding=positional_embedding,
    )
    model = TCCLIP(config)
    try:
        model.load_state_dict(converted)
    except RuntimeError as error:
        raise ValueError(f"The checkpoint does not fit a TC-CLIP with these options: {error}") from error
    return model.eval()


def convert_state_dict(
    state_dict: Mapping[str, Tensor], keys: Mapping[str, str] = KEYS, title: str = "TC-CLIP"
) -> dict[str, Tensor]:
    """Convert published names and layouts to those of `TCCLIP`, or of another system.

    Args:
        state_dict: Weights under their published names, with or without the prefix ``module.``.
        keys: Pattern of a published name -> our name, as `KEYS`.
        title: Name of the system, for the error.

    Returns:
        Weights under our names.

    Raises:
        ValueError: If a name matches no pattern of ``keys``. Skipping it would hide that the model is another one.
    """
    converted, unknown = {}, []
    for key, value in state_dict.items():
        name = key.removeprefix("module.")
        if name in IGNORED:
            continue
        if target := _translate(name, keys):
            converted.update(_convert(target, value))
        else:
            unknown.append(name)
    if unknown:
        raise ValueError(f"The checkpoint has {list_names('unknown', unknown)}: pass a published {title} checkpoint.")
    return converted


def list_names(kind: str, names: Sequence[str]) -> str:
    """Return such as "2 unknown weights (a, b)", with the first names if there are many."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    listed = ", ".join(map(repr, names[:SHOWN]))
    return f"{len(names)} {kind} weight{'s' * (len(names) > 1)} ({listed}{more})"


def _translate(name: str, keys: Mapping[str, str]) -> str | None:
    """Return our name of a published weight; None if it is unknown."""
    matches = ((re.fullmatch(pattern, name), target) for pattern, target in keys.items())
    return next((match.expand(target) for match, target in matches if match), None)


def _convert(found: str, value: Tensor) -> dict[str, Tensor]:
    """Convert the layout of one weight, given our name; stacked query, key and value become three."""
    if "in_proj_" in found:  # query, key and value, stacked in this order
        return {
            found.replace("in_proj_", f"{letter}_proj."): rows
            for letter, rows in zip("qkv", value.chunk(3), strict=True)
        }
    if found in ("visual_projection.weight", "text_projection.weight"):
        return {found: value.T}  # published for x @ proj, while nn.Linear computes x @ weight.T
    if found.endswith(("local_global_bias", "position_embedding.weight")):
        return {found: value.reshape(-1, value.shape[-1])}  # bias (H, 1, 2) -> (H, 2); joint (T, N, D) -> (T * N, D)
    return {found: value}


def infer_config(weights: Mapping[str, Tensor], **options: object) -> TCCLIPConfig:
    """Infer the configuration from the shapes of converted weights.

    Args:
        weights: From `convert_state_dict`, with the token embedding.
        **options: Options of `TCCLIPConfig` that shapes do not tell.

    Returns:
        The configuration.
    """
    (vision_width, _, patch_size, _), (projection_dim, _) = (
        weights[name].shape for name in ("vision_model.embeddings.patch_embedding.weight", "visual_projection.weight")
    )
    positions = len(weights["vision_model.embeddings.position_embedding.weight"])
    if options["positional_embedding"] == "joint":
        positions //= options["num_frames"]  # one table of N positions per frame, stacked
    vocab_size, text_width = weights[TOKEN_EMBEDDING].shape
    prompts = weights["prompt_learner.prompt_vectors"]
    return TCCLIPConfig(
        vision_config={
            **_encoder_sizes(weights, "vision_model", vision_width),
            "image_size": round((positions - 1) ** 0.5) * patch_size,  # one position is [CLS]
            "patch_size": patch_size,
            "projection_dim": projection_dim,
        },
        text_config={
            **_encoder_sizes(weights, "text_model", text_width),
            "vocab_size": vocab_size,
            "max_position_embeddings": len(weights["text_model.embeddings.position_embedding.weight"]),
            "projection_dim": projection_dim,
        },
        projection_dim=projection_dim,
        local_global_bias=any(name.endswith("local_global_bias") for name in weights),
        num_prompt_vectors=len(prompts),
        **options,
    )


def _encoder_sizes(weights: Mapping[str, Tensor], encoder: str, width: int) -> dict[str, int]:
    """Return the sizes of one encoder, named as in its Hugging Face configuration."""
    layers = {name.split(".")[3] for name in weights if name.startswith(f"{encoder}.encoder.layers.")}
    return {
        "hidden_size": width,
        "intermediate_size": len(weights[f"{encoder}.encoder.layers.0.mlp.fc1.weight"]),
        "num_hidden_layers": len(layers),
        "num_attention_heads": width // HEAD_WIDTH,
    }
