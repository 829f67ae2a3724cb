"""The backbone's attention with reference tokens among the keys (Eqs. 4, 7 and 8)."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from tc_clip_pl.modules.backbone.interface import Attention
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.ops.attention import gather_keys, join_keys, key_bias
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

    def project(self, hidden_states: Tensor, shared_tokens: Tensor | None, cls_only: bool = False) -> FrameAttention:
        """Project queries, keys and values.

        Args:
            hidden_states: (B, T, N, D), layer-normed frame tokens.
            shared_tokens: (B, K, D), layer-normed reference tokens of all frames alike: context tokens and deep
                prompts. None if there are none.
            cls_only: Project the queries of [CLS] alone; the others are left to who asks for them.
        """
        query = self._project_queries(hidden_states[:, :, :1] if cls_only else hidden_states)
        find_query = partial(self._project_queries, hidden_states) if cls_only else lambda: query
        queries, projections = (query[..., :1, :], find_query), (self.k_proj, self.v_proj)
        has_kernel = self.attend_with_context is not None and query.dtype != torch.float64
        if has_kernel and shared_tokens is not None:  # it takes the keys of frames and shared tokens apart
            keys, values = (
                tuple(self.split_heads(linear(tokens)) for tokens in (hidden_states, shared_tokens))
                for linear in projections
            )
            return UnjoinedAttention(self.attend_with_context, *queries, keys, values, self.local_global_bias)
        key, value = (self._project_frames(linear, hidden_states, shared_tokens) for linear in projections)
        num_tokens = hidden_states.shape[2]
        return FrameAttention(*queries, key, value, self._bias(num_tokens, key.shape[-2]), num_tokens)

    def forward(self, attention: FrameAttention, tokens: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            attention: What `project` returned.
            tokens: (B, T, Q, D), the layer-normed tokens to attend for; None are all N.

        Returns:
            (B, T, Q, D).
        """
        query = attention.query if tokens is None else self._project_queries(tokens)
        return self.merge_heads(attention.attend(query))

    def _project_queries(self, tokens: Tensor) -> Tensor:
        """Compute (B, T, H, Q, d) queries of (B, T, Q, D) frame tokens, which alone ask."""
        return self.split_heads(self.q_proj(tokens))

    def _project_frames(self, linear: nn.Linear, hidden_states: Tensor, shared_tokens: Tensor | None) -> Tensor:
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
