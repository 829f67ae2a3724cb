"""The text encoder for many videos and many classes at once (Eq. 15).

`encode_classes` runs once per set of class names; `condition_last` is the little that each pair of video and class
costs. Together they equal one pass of the text encoder per pair, for two reasons. Attention is causal and the prompts
come before the class tokens, so below the last layer no state depends on the video: the prompts are first changed
before that layer. And the text feature is read at EOS, so in the last layer no other query is needed.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from tc_clip_pl.modules.backbone.interface import (
    TextModel,
    add_positions,
    call_layer,
    normalize_output,
    project_keys_values,
    project_queries,
    run_layers,
)
from tc_clip_pl.modules.outputs import ClassEncoding
from tc_clip_pl.modules.text_packing import run_layers_packed
from tc_clip_pl.ops.prompt_attention import attend_classes, merge_prompts


def encode_text(
    text_model: TextModel, inputs_embeds: Tensor, eos: Tensor, run_layer: Callable[..., Tensor] = call_layer
) -> Tensor:
    """Run the whole text encoder (Eq. 3).

    Args:
        text_model: The text model of the backbone.
        inputs_embeds: (Y, L, D) token embeddings.
        eos: (Y,) position of EOS.
        run_layer: Calls a layer with its arguments.

    Returns:
        (Y, D) features at EOS, before the text projection.
    """
    states, num_layers = add_positions(text_model, inputs_embeds), len(text_model.encoder.layers)
    states = run_layers(text_model, states, 0, num_layers, run_layer)
    return normalize_output(text_model, read_rows(states, eos))


def read_rows(states: Tensor, positions: Tensor) -> Tensor:
    """Pick one state per row: (X, L, D) states at (X,) positions are (X, D)."""
    return states[torch.arange(states.shape[0], device=states.device), positions]


def encode_classes(
    text_model: TextModel,
    inputs_embeds: Tensor,
    eos: Tensor,
    num_prompts: int,
    run_layer: Callable[..., Tensor] = call_layer,
) -> ClassEncoding:
    """Run the classes up to the EOS query of the last layer.

    Args:
        text_model: The text model of the backbone.
        inputs_embeds: (Y, L, D) token embeddings, prompt vectors at positions 1 to M.
        eos: (Y,) position of EOS.
        num_prompts: M.
        run_layer: Calls a layer with its arguments.
    """
    last, length = text_model.encoder.layers[-1], inputs_embeds.shape[1]
    states, num_layers = add_positions(text_model, inputs_embeds), len(text_model.encoder.layers)
    states = run_layers_packed(text_model, states, 1 + num_prompts, num_layers - 1, run_layer)

    # The prompt positions are left out: `condition_last` puts the prompts of each video in their place.
    positions = torch.arange(length, device=eos.device)
    visible = (positions <= eos[:, None]) & ((positions < 1) | (positions > num_prompts))  # (Y, L)
    residual = read_rows(states, eos)
    query = project_queries(last, residual)
    key, value = project_keys_values(last, states)
    output, log_sum_exp = attend_classes(query, key, value, visible)
    # The prompts attend to SOS and each other alone, so those of the first class serve all.
    return ClassEncoding(states[0, 1 : 1 + num_prompts], residual, query, output, log_sum_exp)


def condition_last(text_model: TextModel, classes: ClassEncoding, prompts: Tensor) -> Tensor:
    """Run the last text layer and the final layer norm at EOS, for every video and class.

    Args:
        text_model: The text model of the backbone.
        classes: The result of `encode_classes`.
        prompts: (B, M, D) prompt states of each video before the last layer.

    Returns:
        (B, Y, D) text features, before the text projection.
    """
    last = text_model.encoder.layers[-1]
    key, value = project_keys_values(last, prompts)
    attended = merge_prompts(classes.query, classes.output, classes.log_sum_exp, key, value)  # (B, Y, H, d)
    states = classes.residual + last.self_attn.out_proj(attended.flatten(-2))
    states = states + last.mlp(last.layer_norm2(states))
    return normalize_output(text_model, states)


def condition_early(text_model: TextModel, states: Tensor, eos: Tensor, prompts: Tensor, start: int) -> Tensor:
    """Run the remaining layers for every video and class.

    This is the plain path, one pass per pair: prompts that change before an earlier layer change every class token
    after them.

    Args:
        text_model: The text model of the backbone.
        states: (Y, L, D) of the classes before layer ``start``.
        eos: (Y,) position of EOS.
        prompts: (B, M, D) prompt states of each video before that layer.
        start: The layer, counted from 0.

    Returns:
        (B, Y, D) text features, before the text projection.
    """
    shape = (prompts.shape[0], states.shape[0])
    shared = states.expand(shape[0], -1, -1, -1)  # (B, Y, L, D)
    prompts = prompts.unsqueeze(1).expand(-1, shape[1], -1, -1)  # (B, Y, M, D)
    pairs = torch.cat((shared[:, :, :1], prompts, shared[:, :, 1 + prompts.shape[2] :]), dim=2).flatten(0, 1)
    pairs = run_layers(text_model, pairs, start, len(text_model.encoder.layers))
    return normalize_output(text_model, read_rows(pairs, eos.repeat(shape[0]))).unflatten(0, shape)
