"""CLIP's attention with context tokens among the keys (Eqs. 7 and 8)."""

import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPAttention

from tc_clip_pl.ops.attention import attention_weights, context_attention, join_keys, key_bias


class TCAttention(CLIPAttention):
    """Frame tokens attend to their own frame and to the context tokens of the video.

    Args:
        config: of the vision encoder.
        has_bias: whether to learn the local and global bias of Eq. 8.

    Attributes:
        local_global_bias: (H, 2), added to the scores of frame keys and of context keys, from N(0, 0.02) truncated; or
            None.
    """

    def __init__(self, config: CLIPVisionConfig, has_bias: bool) -> None:
        super().__init__(config)
        self.local_global_bias = None
        if has_bias:
            self.local_global_bias = nn.Parameter(nn.init.trunc_normal_(torch.empty(self.num_heads, 2), std=0.02))

    def forward(
        self, hidden_states: Tensor, context_tokens: Tensor | None, return_attentions: bool = False
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Attends.

        Args:
            hidden_states: (B, T, N, D), layer-normed frame tokens.
            context_tokens: (B, K, D), layer-normed, or None in a layer that attends within frames.
            return_attentions: also return all attention weights; slower, same output to rounding.

        Returns:
            (B, T, N, D) output; (B, T, H, P) attention of [CLS] to the patches, without gradient, which selects the
            seeds; (B, T, H, N, N + K) weights, or None.
        """
        query = self._split_heads(self.q_proj(hidden_states))
        key, value = (
            join_keys(self._split_heads(projection(hidden_states)), self._project_context(projection, context_tokens))
            for projection in (self.k_proj, self.v_proj)
        )
        num_tokens, bias = query.shape[-2], self._bias(query.shape[-2], key.shape[-2])
        output = context_attention(query, key, value, bias)
        with torch.no_grad():
            cls_attention = attention_weights(query[..., :1, :], key, bias)[..., 0, 1:num_tokens]
        weights = attention_weights(query, key, bias) if return_attentions else None
        return self.out_proj(output.transpose(2, 3).flatten(-2)), cls_attention, weights

    def _project_context(self, projection: nn.Linear, context_tokens: Tensor | None) -> Tensor | None:
        return None if context_tokens is None else self._split_heads(projection(context_tokens))

    def _split_heads(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (self.num_heads, self.head_dim)).transpose(-3, -2)  # (..., H, N, d)

    def _bias(self, num_frame_keys: int, num_keys: int) -> Tensor | None:
        if self.local_global_bias is None or num_keys == num_frame_keys:
            return None
        return key_bias(self.local_global_bias, num_frame_keys, num_keys - num_frame_keys)
