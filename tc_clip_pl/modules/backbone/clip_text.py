"""CLIP's text encoder, cut into the steps that the prompting needs one by one."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import CLIPTextModel
from transformers.models.clip.modeling_clip import CLIPEncoderLayer

from tc_clip_pl.modules.backbone.clip_layers import call_layer

TextModel = CLIPTextModel

# "a photo of a" in CLIP's vocabulary.
TEMPLATE_TOKEN_IDS = (320, 1125, 539, 320)
# CLIP's first configurations on the hub name this id as EOS, but no text ends with it.
WRONG_EOS_ID = 2


def find_eos(input_ids: Tensor, eos_token_id: int) -> Tensor:
    """Find the EOS token of every row.

    Args:
        input_ids: (Y, L) token ids.
        eos_token_id: As in the text configuration. Where it is the wrong id of CLIP's first configurations, EOS is the
            highest id of a row, as in CLIP's own code.

    Returns:
        (Y,) positions.

    Raises:
        ValueError: If a row has no EOS token.
    """
    if eos_token_id == WRONG_EOS_ID:
        return input_ids.argmax(dim=-1)
    is_eos = input_ids == eos_token_id
    if not is_eos.any(dim=-1).all():
        row = int(is_eos.any(dim=-1).logical_not().nonzero()[0, -1])
        raise ValueError(
            f"The token ids of class {row} have no EOS token ({eos_token_id}): tokenize with special tokens."
        )
    return is_eos.int().argmax(dim=-1)  # the first one: CLIP may also pad with EOS


def token_embedding(text_model: TextModel) -> nn.Embedding:
    """Return the token embedding table."""
    return text_model.embeddings.token_embedding


def add_positions(text_model: TextModel, inputs_embeds: Tensor) -> Tensor:
    """(Y, L, D) token embeddings to the (Y, L, D) states before the first layer."""
    return inputs_embeds + text_model.embeddings.position_embedding.weight[: inputs_embeds.shape[1]]


def run_layers(
    text_model: TextModel,
    states: Tensor,
    start: int,
    stop: int,
    run_layer: Callable[..., Tensor] = call_layer,
    mask: Tensor | None = None,
) -> Tensor:
    """Run a slice of the layers.

    Args:
        text_model: CLIP's text model.
        states: (X, L, D).
        start: First layer, counted from 0.
        stop: Layer to stop before, counted from 0.
        run_layer: Calls a layer with its arguments; a compiled one is faster.
        mask: (L, L), added to the scores; by default the causal mask.

    Returns:
        (X, L, D) states.
    """
    if mask is None:
        length = states.shape[1]
        mask = torch.full((length, length), float("-inf"), dtype=states.dtype, device=states.device).triu(1)
    for layer in text_model.encoder.layers[start:stop]:
        states = run_layer(layer, states, mask[None, None])
    return states


def normalize_output(text_model: TextModel, states: Tensor) -> Tensor:
    """Apply CLIP's layer norm before the projection into the joint space."""
    return text_model.final_layer_norm(states)


def project_queries(layer: CLIPEncoderLayer, states: Tensor) -> Tensor:
    """(..., D) states to (..., H, d) queries of a layer, already scaled by 1 / sqrt(d)."""
    attn = layer.self_attn
    return (attn.q_proj(layer.layer_norm1(states)) * attn.scale).unflatten(-1, (attn.num_heads, attn.head_dim))


def project_keys_values(layer: CLIPEncoderLayer, states: Tensor) -> tuple[Tensor, Tensor]:
    """(..., D) states to keys and values of a layer, both (..., H, d)."""
    attn, normed = layer.self_attn, layer.layer_norm1(states)
    heads = (attn.num_heads, attn.head_dim)
    return attn.k_proj(normed).unflatten(-1, heads), attn.v_proj(normed).unflatten(-1, heads)
