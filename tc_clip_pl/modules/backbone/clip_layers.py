"""CLIP's transformer layer and its two halves, which both encoders share."""

from typing import Any

import torch
from torch import Tensor
from transformers.models.clip.modeling_clip import CLIPMLP, CLIPAttention, CLIPEncoderLayer

MLP = CLIPMLP
TOKENS_AT_ONCE = 512  # for each thread of a CPU: what the MLP makes of them fits the cache


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
        if tokens.device.type == "cpu" and not (torch.is_grad_enabled() or torch.compiler.is_compiling()):
            return self._feed_in_parts(tokens)
        return tokens + self.mlp(self.layer_norm2(tokens))

    def _feed_in_parts(self, tokens: Tensor) -> Tensor:
        """Feed some tokens forward after others: new memory for all at once takes longer than their activation."""
        rows = tokens.flatten(0, -2)
        num_parts = -(-len(rows) // (TOKENS_AT_ONCE * torch.get_num_threads())) or 1
        parts = [part + self.mlp(self.layer_norm2(part)) for part in rows.tensor_split(num_parts)]
        return torch.cat(parts).view_as(tokens)


def call_layer(layer: EncoderLayer, *arguments: Any) -> Any:
    """Call a layer: a function of its own, so that it can be compiled once for all layers."""
    return layer(*arguments)
