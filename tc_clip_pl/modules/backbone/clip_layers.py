"""CLIP's transformer layer and its two halves, which both encoders share."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu
from transformers.activations import QuickGELUActivation
from transformers.models.clip.modeling_clip import CLIPMLP, CLIPAttention, CLIPConfig, CLIPEncoderLayer

QUICK_GELU_SCALE = 1.702  # QuickGELU(x) = x sigmoid(1.702 x)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
TOKENS_AT_ONCE = 768  # for each thread of a CPU: 512 and 1024 are as fast or slower, by model


class Attention(CLIPAttention):
    """CLIP's query, key, value and output projections; subclasses define what attends to what."""

    def split_heads(self, states: Tensor) -> Tensor:
        """(..., N, D) to (..., H, N, d)."""
        return states.unflatten(-1, (self.num_heads, self.head_dim)).transpose(-3, -2)

    def merge_heads(self, states: Tensor) -> Tensor:
        """(..., H, N, d) to (..., N, D), through the output projection."""
        return self.out_proj(states.transpose(-3, -2).flatten(-2))


class MLP(CLIPMLP):
    """CLIP's MLP; on a CPU, where passes over memory cost most, QuickGELU takes one pass instead of three."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        if not self._scales_in_products(hidden_states):
            return super().forward(hidden_states)
        # QuickGELU(h) W = silu(1.702 h) W / 1.702, and a matrix product multiplies by a number at no cost.
        scale, tokens = QUICK_GELU_SCALE, hidden_states.flatten(0, -2)
        states = torch.addmm(self.fc1.bias, tokens, self.fc1.weight.t(), beta=scale, alpha=scale)
        states = silu(states, inplace=not torch.is_grad_enabled())
        return torch.addmm(self.fc2.bias, states, self.fc2.weight.t(), alpha=1 / scale).view_as(hidden_states)

    def _scales_in_products(self, hidden_states: Tensor) -> bool:
        """Whether this runs uncompiled on a CPU, and `fc1` and `fc2` are plain layers without hooks."""
        if torch.compiler.is_compiling() or hidden_states.device.type != "cpu":
            return False
        are_plain = all(
            type(layer) is nn.Linear and not any(getattr(layer, hooks) for hooks in HOOKS)
            for layer in (self.fc1, self.fc2)
        )
        return are_plain and isinstance(self.activation_fn, QuickGELUActivation)


class EncoderLayer(CLIPEncoderLayer):
    """CLIP's pre-norm layer; subclasses define the attention half."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__(config)
        self.mlp.__class__ = MLP  # a new one would draw random weights again, and change all that are drawn later

    def feed_forward(self, tokens: Tensor) -> Tensor:
        """Apply the second half of the layer: layer norm, MLP and residual, token by token."""
        is_plain = torch.is_grad_enabled() or torch.compiler.is_compiling() or tokens.device.type != "cpu"
        # Not asked for while compiling: the number of threads would cut the graph.
        at_once = 0 if is_plain else TOKENS_AT_ONCE * torch.get_num_threads()
        if is_plain or (num_tokens := tokens.shape[:-1].numel()) <= at_once:
            return tokens + self.mlp(self.layer_norm2(tokens))
        # New memory for the MLP of all tokens takes a CPU longer than the activation: parts use the same one again.
        parts = tokens.flatten(0, -2).chunk(-(-num_tokens // at_once))  # of equal size: products of few rows are slow
        return torch.cat([part + self.mlp(self.layer_norm2(part)) for part in parts]).view_as(tokens)


def call_layer(layer: EncoderLayer, *arguments: Any) -> Any:
    """Call a layer: a function of its own, so that it can be compiled once for all layers."""
    return layer(*arguments)
