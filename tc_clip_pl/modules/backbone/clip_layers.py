"""CLIP's transformer layer and its two halves, which both encoders share."""

from typing import Any

from torch import Tensor
from transformers.models.clip.modeling_clip import CLIPMLP, CLIPAttention, CLIPEncoderLayer

MLP = CLIPMLP


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
        return tokens + self.mlp(self.layer_norm2(tokens))


def call_layer(layer: EncoderLayer, *arguments: Any) -> Any:
    """Call a layer: a function of its own, so that it can be compiled once for all layers."""
    return layer(*arguments)
