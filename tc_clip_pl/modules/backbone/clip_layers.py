"""CLIP's transformer layer and its two halves, which both encoders share."""

from typing import Any

import torch
from torch import Tensor
from transformers.models.clip.modeling_clip import CLIPMLP, CLIPAttention, CLIPEncoderLayer

MLP = CLIPMLP
TOKENS_AT_ONCE = 768  # for each thread of a CPU: 512 and 1024 are as fast or slower, by model


class Attention(CLIPAttention):
    """CLIP's query, key, value and output projections; subclasses define what attends to what."""

    def split_heads(self, states: Tensor) -> Tensor:
        """(..., N, D) to (..., H, N, d)."""
        return states.unflatten(-1, (self.num_heads, self.head_dim)).transpose(-3, -2)

    def merge_heads(self, states: Tensor) -> Tensor:
        """(..., H, N, d) to (..., N, D), through the output projection."""
        return self.out_proj(states.transpose(-3, -2).flatten(-2))


class EncoderLayer(CLIPEncoderLayer):
    """CLIP's pre-norm layer; subclasses define the attention half."""

    def feed_forward(self, tokens: Tensor) -> Tensor:
        """Apply the second half of the layer: layer norm, MLP and residual, token by token."""
        is_plain = torch.is_grad_enabled() or torch.compiler.is_compiling() or tokens.device.type != "cpu"
        # Not asked for while compiling: the number of threads would cut the graph.
        at_once = 0 if is_plain else TOKENS_AT_ONCE * torch.get_num_threads()
        if is_plain or tokens.shape[:-1].numel() <= at_once:
            return tokens + self.mlp(self.layer_norm2(tokens))
        # New memory for the MLP of all tokens takes a CPU longer than the activation: parts use the same one again.
        parts = [part + self.mlp(self.layer_norm2(part)) for part in tokens.flatten(0, -2).split(at_once)]
        return torch.cat(parts).view_as(tokens)


def call_layer(layer: EncoderLayer, *arguments: Any) -> Any:
    """Call a layer: a function of its own, so that it can be compiled once for all layers."""
    return layer(*arguments)
