"""Video-conditional Prompting: prompt vectors read the context tokens (Fig. 5, Eqs. 12-14)."""

import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig
from transformers.models.clip.modeling_clip import CLIPMLP, CLIPAttention, CLIPEncoderLayer

from tc_clip_pl.ops.attention import context_attention


class CrossAttention(CLIPAttention):
    """Multi-head cross-attention with CLIP's projections (MHCA of Eq. 13)."""

    def forward(self, prompts: Tensor, context_tokens: Tensor) -> Tensor:
        """(M, d) prompts, the same for all videos, over (B, K, d) context tokens; returns (B, M, d)."""
        query = self._split_heads(self.q_proj(prompts)).expand(len(context_tokens), -1, -1, -1)
        key, value = self._split_heads(self.k_proj(context_tokens)), self._split_heads(self.v_proj(context_tokens))
        output = context_attention(query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1), bias=None).squeeze(1)
        return self.out_proj(output.transpose(1, 2).flatten(2))

    def _split_heads(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (self.num_heads, self.head_dim)).transpose(-3, -2)  # (..., H, M, d / H)


class PromptGenerationLayer(nn.Module):
    """f_VP of Eq. 15: a pre-norm cross-attention block over the prompt positions.

    Attributes:
        layer_norm_prompt: LN_p of Eq. 13.
        layer_norm_context: LN_s of Eq. 13.
        layer_norm2: LN of Eq. 14.
    """

    def __init__(self, config: CLIPTextConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.cross_attn = CrossAttention(config)
        self.layer_norm_prompt = nn.LayerNorm(width, eps=eps)
        self.layer_norm_context = nn.LayerNorm(width, eps=eps)
        self.layer_norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = CLIPMLP(config)

    @torch.no_grad()
    def initialize_from_layer(self, layer: CLIPEncoderLayer) -> None:
        """Copies the weights of a text layer (Table 13d, "CLIP weight")."""
        self.cross_attn.load_state_dict(layer.self_attn.state_dict())
        self.layer_norm_prompt.load_state_dict(layer.layer_norm1.state_dict())
        self.layer_norm_context.load_state_dict(layer.layer_norm1.state_dict())
        self.layer_norm2.load_state_dict(layer.layer_norm2.state_dict())
        self.mlp.load_state_dict(layer.mlp.state_dict())

    def forward(self, prompts: Tensor, context_tokens: Tensor) -> Tensor:
        """(M, d) prompts and (B, K, d) projected context tokens to (B, M, d) prompts of each video.

        The context tokens get no gradient (SG of Eq. 12).
        """
        context = self.layer_norm_context(context_tokens.detach())
        interim = prompts + self.cross_attn(self.layer_norm_prompt(prompts), context)  # Eq. 13
        return interim + self.mlp(self.layer_norm2(interim))  # Eq. 14
