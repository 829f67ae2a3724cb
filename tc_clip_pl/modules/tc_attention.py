"""The backbone's attention with reference tokens among the keys (Eqs. 4, 7 and 8)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tc_clip_pl.modules.backbone.interface import Attention
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.ops.attention import context_attention, gather_keys, join_keys, key_bias
from tc_clip_pl.ops.frame_attention import FrameAttention, UnjoinedAttention
from tc_clip_pl.ops.reference_tokens import REFERENCE_TOKENS


class TCAttention(Attention):
    """Frame tokens attend to their own frame and to reference tokens: by default the context tokens of the video.

    Args:
        config: Configuration of the whole model.
        layer: Number of the layer, counted from 1.

    Attributes:
        local_global_bias: (H, 2), added to the scores of the frame's own keys and of the reference keys, initialized
            from a truncated N(0, 0.02); or None. The softmax ignores a shift, so only the difference of the two has an
            effect.
        attend_with_context: A kernel for frame and context keys (`use_kernels`), or None.
    """

    def __init__(self, config: TCCLIPConfig, layer: int) -> None:
        super().__init__(config.vision_config)
        self.attends_to_others = config.attends_to_others(layer)
        self.reference_tokens = REFERENCE_TOKENS[config.reference_tokens]
        self.attend_with_context: Callable[..., Tensor] | None = None
        self.local_global_bias = None
        if config.learns_bias(layer):
            self.local_global_bias = nn.Parameter(nn.init.trunc_normal_(torch.empty(self.num_heads, 2), std=0.02))

    def forward(self, hidden_states: Tensor, shared_tokens: Tensor | None) -> tuple[Tensor, FrameAttention]:
        """Attend.

        Args:
            hidden_states: (B, T, N, D), layer-normed frame tokens.
            shared_tokens: (B, K, D), layer-normed reference tokens of all frames alike: context tokens and deep
                prompts. None if there are none.

        Returns:
            (B, T, N, D) output, and the attention that it came from.
        """
        query = self.split_heads(self.q_proj(hidden_states))  # (B, T, H, N, d): frame tokens alone ask
        has_kernel = self.attend_with_context is not None and query.dtype != torch.float64
        if has_kernel and shared_tokens is not None:
            return self._attend_unjoined(query, hidden_states, shared_tokens)
        key, value = (self._project(linear, hidden_states, shared_tokens) for linear in (self.k_proj, self.v_proj))
        bias = self._bias(query.shape[-2], key.shape[-2])
        output = context_attention(query, key, value, bias)
        return self.merge_heads(output), FrameAttention(query, key, value, bias)

    def _attend_unjoined(
        self, query: Tensor, hidden_states: Tensor, shared_tokens: Tensor
    ) -> tuple[Tensor, FrameAttention]:
        """Attend by a kernel that takes the keys of frames and shared tokens apart."""
        keys, values = (
            (self.split_heads(linear(hidden_states)), self.split_heads(linear(shared_tokens)))
            for linear in (self.k_proj, self.v_proj)
        )
        bias = self.local_global_bias
        difference = query.new_zeros(self.num_heads, dtype=torch.float32) if bias is None else bias[:, 1] - bias[:, 0]
        output = self.attend_with_context(query, keys[0], values[0], keys[1], values[1], difference)
        return self.merge_heads(output), UnjoinedAttention(query, keys, values, bias)

    def _project(self, linear: nn.Linear, hidden_states: Tensor, shared_tokens: Tensor | None) -> Tensor:
        """Compute keys or values of every frame, (B, T, H, N + R, d): its own, then those of the reference tokens."""
        frame = self.split_heads(linear(hidden_states))
        if shared_tokens is not None:
            return join_keys(frame, self.split_heads(linear(shared_tokens)))
        indices = self.reference_tokens(frame.shape[1], frame.shape[3]) if self.attends_to_others else None
        return frame if indices is None else gather_keys(frame, indices.to(frame.device))

    def _bias(self, num_frame_keys: int, num_keys: int) -> Tensor | None:
        if self.local_global_bias is None:
            return None
        return key_bias(self.local_global_bias, num_frame_keys, num_keys - num_frame_keys)
