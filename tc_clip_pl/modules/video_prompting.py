"""Video-conditional Prompting: prompt vectors read the context tokens (Fig. 5, Eqs. 12-14)."""

import torch
from torch import Tensor, nn

from tc_clip_pl.modules.backbone.interface import MLP, Attention, EncoderLayer, TextConfig
from tc_clip_pl.ops.attention import context_attention


class CrossAttention(Attention):
    """Multi-head cross-attention with the backbone's projections (MHCA of Eq. 13)."""

    def forward(self, prompts: Tensor, context_tokens: Tensor) -> Tensor:
        """Let prompts, the same for all videos, attend to the context tokens of each.

        Args:
            prompts: (M, D).
            context_tokens: (B, K, D).

        Returns:
            (B, M, D).
        """
        query = self.split_heads(self.q_proj(prompts)).expand(context_tokens.shape[0], -1, -1, -1)
        key, value = self.split_heads(self.k_proj(context_tokens)), self.split_heads(self.v_proj(context_tokens))
        # The frame dimension of `context_attention` has size 1 here.
        output = context_attention(query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1), bias=None).squeeze(1)
        return self.merge_heads(output)


class PromptGenerationLayer(nn.Module):
    """f_VP of Eq. 15: a pre-norm cross-attention block over the prompt positions.

    Attributes:
        layer_norm_prompt: LN_p of Eq. 13.
        layer_norm_context: LN_s of Eq. 13.
        layer_norm2: LN of Eq. 14.
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.cross_attn = CrossAttention(config)
        self.layer_norm_prompt = nn.LayerNorm(width, eps=eps)
        self.layer_norm_context = nn.LayerNorm(width, eps=eps)
        self.layer_norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = MLP(config)

    @torch.no_grad()
    def initialize_from_layer(self, layer: EncoderLayer) -> None:
        """Copy the weights of a text layer (Table 13d, "CLIP weight")."""
        self.cross_attn.load_state_dict(layer.self_attn.state_dict())
        # Both inputs of the cross-attention start from the one layer norm before the self-attention.
        self.layer_norm_prompt.load_state_dict(layer.layer_norm1.state_dict())
        self.layer_norm_context.load_state_dict(layer.layer_norm1.state_dict())
        self.layer_norm2.load_state_dict(layer.layer_norm2.state_dict())
        self.mlp.load_state_dict(layer.mlp.state_dict())

    def forward(self, prompts: Tensor, context_tokens: Tensor) -> Tensor:
        """Condition prompts on videos.

        Args:
            prompts: (M, D), the same for all videos.
            context_tokens: (B, K, D), projected. They get no gradient (SG of Eq. 12).

        Returns:
            (B, M, D) prompts of each video.
        """
        context = self.layer_norm_context(context_tokens.detach())
        interim = prompts + self.cross_attn(self.layer_norm_prompt(prompts), context)  # Eq. 13
        return interim + self.mlp(self.layer_norm2(interim))  # Eq. 14
