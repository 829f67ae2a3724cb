"""The tokens that a vision layer adds: summary, local and global prompts (Vita-CLIP, Sec. 3.2)."""

import math

import torch
from torch import Tensor, nn

from tc_clip_pl.baselines.vitaclip.config import VitaCLIPConfig
from tc_clip_pl.modules.backbone.interface import Attention
from tc_clip_pl.ops.attention import context_attention


class FrameAttention(Attention):
    """The backbone's multi-head attention, over one token of each frame."""

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) tokens, each attending to those of all frames of its video, to (B, T, D)."""
        # The frame dimension of `context_attention` has size 1 here: frames are the tokens.
        query, key, value = (
            self.split_heads(linear(tokens)).unsqueeze(1) for linear in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.merge_heads(context_attention(query, key, value, bias=None).squeeze(1))


class LayerPrompts(nn.Module):
    """Makes the tokens that one layer adds from the [CLS] tokens that enter it.

    Attributes:
        cls_proj: From [CLS] to what local and summary tokens start from; None if there are neither.
        local_prompts: (T, D), or None.
        global_prompts: (G, D), or None.
        summary_norm: The layer norm before `summary_attn`; both None if there is no summary.
    """

    def __init__(self, config: VitaCLIPConfig) -> None:
        super().__init__()
        vision = config.vision_config
        width = vision.hidden_size
        self.cls_proj = nn.Linear(width, width) if config.projects_cls else None
        self.local_prompts = nn.Parameter(torch.empty(config.num_frames, width)) if config.local_prompts else None
        num_global = config.num_global_prompts
        self.global_prompts = nn.Parameter(torch.empty(num_global, width)) if num_global else None
        self.summary_norm = nn.LayerNorm(width, eps=vision.layer_norm_eps) if config.summary else None
        self.summary_attn = FrameAttention(vision) if config.summary else None
        self.bound = math.sqrt(6 / (3 * vision.patch_size**2 + width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start from the random values of the released code."""
        for prompts in (self.local_prompts, self.global_prompts):
            if prompts is not None:
                nn.init.uniform_(prompts, -self.bound, self.bound)
        if self.cls_proj is not None:
            self.cls_proj.reset_parameters()
        if self.summary_attn is not None:
            self.summary_norm.reset_parameters()
            attn = self.summary_attn
            for linear in (attn.q_proj, attn.k_proj, attn.v_proj, attn.out_proj):
                nn.init.xavier_uniform_(linear.weight)
                nn.init.zeros_(linear.bias)

    def forward(self, cls_tokens: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Make the added tokens.

        Args:
            cls_tokens: (B, T, D), as they enter the layer, not normed.

        Returns:
            The summary token of each frame, (B, T, 1, D), and the tokens that all frames of a video share, (B, K, D):
            T local and G global ones. None where there are no such tokens.
        """
        summary, shared = None, []
        if self.cls_proj is not None:
            projected = self.cls_proj(cls_tokens)
            if self.local_prompts is not None:
                shared.append(projected + self.local_prompts)
            if self.summary_attn is not None:
                summary = (projected + self.summary_attn(self.summary_norm(projected))).unsqueeze(2)
        if self.global_prompts is not None:
            shared.append(self.global_prompts.expand(len(cls_tokens), -1, -1))
        return summary, torch.cat(shared, dim=1) if shared else None
