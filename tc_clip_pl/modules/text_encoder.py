"""The text encoder for many videos and many classes at once (Eq. 15).

`encode_classes` runs once per set of class names; `condition_last` is the little that each (video, class) pair
costs. Together they equal one pass of the text encoder per pair: attention is causal and the prompts come before
the class tokens, so below the last layer no state depends on the video, and there only EOS is read.
"""

import torch
from torch import Tensor
from transformers.models.clip.modeling_clip import CLIPEncoderLayer, CLIPTextModel

from tc_clip_pl.modules.outputs import ClassEncoding
from tc_clip_pl.ops.prompt_attention import attend_classes, merge_prompts


def find_eos(input_ids: Tensor, eos_token_id: int) -> Tensor:
    """Position of the EOS token in every row, (Y,).

    CLIP's first published configurations name a wrong id, 2; there EOS is the highest id, as in CLIP's vocabulary.

    Args:
        input_ids: (Y, L) token ids.
        eos_token_id: of the text configuration.

    Raises:
        ValueError: where a row has no EOS token.
    """
    if eos_token_id == 2:
        return input_ids.argmax(dim=-1)
    is_eos = input_ids == eos_token_id
    if not is_eos.any(dim=-1).all():
        row = int(is_eos.any(dim=-1).logical_not().nonzero()[0])
        raise ValueError(
            f"The token ids of class {row} have no EOS token ({eos_token_id}): tokenize with special tokens."
        )
    return is_eos.int().argmax(dim=-1)


def run_layers(text_model: CLIPTextModel, states: Tensor, start: int, stop: int) -> Tensor:
    """Runs layers ``start`` to ``stop`` (counted from 0, the latter left out) over (X, L, d) states, causally."""
    length = states.shape[1]
    mask = torch.full((length, length), float("-inf"), dtype=states.dtype, device=states.device).triu(1)[None, None]
    for layer in text_model.encoder.layers[start:stop]:
        states = layer(states, mask)
    return states


def encode_text(text_model: CLIPTextModel, inputs_embeds: Tensor, eos: Tensor) -> Tensor:
    """(Y, L, d) token embeddings to the (Y, d) features at EOS, before the text projection (Eq. 3)."""
    states = inputs_embeds + text_model.embeddings.position_embedding.weight[: inputs_embeds.shape[1]]
    states = run_layers(text_model, states, 0, len(text_model.encoder.layers))
    return text_model.final_layer_norm(read_rows(states, eos))


def read_rows(states: Tensor, positions: Tensor) -> Tensor:
    """(X, L, d) states at (X,) positions, (X, d)."""
    return states[torch.arange(len(states), device=states.device), positions]


def encode_classes(text_model: CLIPTextModel, inputs_embeds: Tensor, eos: Tensor, num_prompts: int) -> ClassEncoding:
    """Runs the classes up to the EOS query of the last layer.

    Args:
        text_model: CLIP's text model.
        inputs_embeds: (Y, L, d) token embeddings, prompt vectors at positions 1 to M.
        eos: (Y,) position of EOS.
        num_prompts: M.
    """
    last, length = text_model.encoder.layers[-1], inputs_embeds.shape[1]
    states = inputs_embeds + text_model.embeddings.position_embedding.weight[:length]
    states = run_layers(text_model, states, 0, len(text_model.encoder.layers) - 1)

    positions = torch.arange(length, device=eos.device)
    visible = (positions <= eos[:, None]) & ((positions < 1) | (positions > num_prompts))  # (Y, L)
    residual = read_rows(states, eos)
    query = scaled_query(last, residual)
    key, value = project_keys(last, states)
    output, log_sum_exp = attend_classes(query, key, value, visible)
    return ClassEncoding(states[0, 1 : 1 + num_prompts], residual, query, output, log_sum_exp)


def condition_last(text_model: CLIPTextModel, classes: ClassEncoding, prompts: Tensor) -> Tensor:
    """The last text layer and the final layer norm at EOS, for every video and class.

    Args:
        text_model: CLIP's text model.
        classes: of `encode_classes`.
        prompts: (B, M, d) prompt states of each video before the last layer.

    Returns:
        (B, Y, d) text features, before the text projection.
    """
    last = text_model.encoder.layers[-1]
    key, value = project_keys(last, prompts)
    attended = merge_prompts(classes.query, classes.output, classes.log_sum_exp, key, value)  # (B, Y, H, d / H)
    states = classes.residual + last.self_attn.out_proj(attended.flatten(-2))
    states = states + last.mlp(last.layer_norm2(states))
    return text_model.final_layer_norm(states)


def condition_early(text_model: CLIPTextModel, states: Tensor, eos: Tensor, prompts: Tensor, start: int) -> Tensor:
    """The layers left, for every video and class: prompts that change earlier change every class token after them.

    Args:
        text_model: CLIP's text model.
        states: (Y, L, d) of the classes before layer ``start``.
        eos: (Y,) position of EOS.
        prompts: (B, M, d) prompt states of each video before that layer.
        start: the layer, counted from 0.

    Returns:
        (B, Y, d) text features, before the text projection.
    """
    shape = (len(prompts), len(states))
    shared = states.expand(shape[0], -1, -1, -1)
    prompts = prompts.unsqueeze(1).expand(-1, shape[1], -1, -1)
    pairs = torch.cat((shared[:, :, :1], prompts, shared[:, :, 1 + prompts.shape[2] :]), dim=2).flatten(0, 1)
    pairs = run_layers(text_model, pairs, start, len(text_model.encoder.layers))
    return text_model.final_layer_norm(read_rows(pairs, eos.repeat(shape[0]))).unflatten(0, shape)


def scaled_query(layer: CLIPEncoderLayer, states: Tensor) -> Tensor:
    """(..., d) states to (..., H, d / H) queries, scaled by the root of the head width."""
    attn = layer.self_attn
    return (attn.q_proj(layer.layer_norm1(states)) * attn.scale).unflatten(-1, (attn.num_heads, attn.head_dim))


def project_keys(layer: CLIPEncoderLayer, states: Tensor) -> tuple[Tensor, Tensor]:
    """(..., d) states to keys and values of a layer, both (..., H, d / H)."""
    attn, normed = layer.self_attn, layer.layer_norm1(states)
    heads = (attn.num_heads, attn.head_dim)
    return attn.k_proj(normed).unflatten(-1, heads), attn.v_proj(normed).unflatten(-1, heads)
