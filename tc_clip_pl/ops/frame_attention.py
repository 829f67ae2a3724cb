"""What a layer's attention says about its patches, each figure computed when it is asked for."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tc_clip_pl.ops.attention import attention_weights


@dataclass
class FrameAttention:
    """Queries, keys and values of one layer. The figures carry no gradient: they only choose tokens.

    Attributes:
        query: (B, T, H, N, d), [CLS] first.
        key: (B, T, H, N + R, d), the frame's own N keys first.
        value: (B, T, H, N + R, d).
        bias: (H, 1, N + R) or None.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    bias: Tensor | None

    @property
    def num_tokens(self) -> int:
        """N, tokens of one frame."""
        return self.query.shape[-2]

    def weights(self) -> Tensor:
        """(B, T, H, N, N + R) attention probabilities of all queries, with gradient."""
        return attention_weights(self.query, self.key, self.bias)

    @torch.no_grad()
    def cls_attention(self) -> Tensor:
        """(B, T, H, P) probabilities of the [CLS] query at the patches, after the softmax over all keys (Eq. 5)."""
        return attention_weights(self.query[..., :1, :], self.key, self.bias)[..., 0, 1 : self.num_tokens]

    @torch.no_grad()
    def key_norms(self) -> Tensor:
        """(B, T, H, P) Euclidean norms of the patch keys."""
        return self.key[..., 1 : self.num_tokens, :].float().norm(dim=-1)

    @torch.no_grad()
    def value_norms(self) -> Tensor:
        """(B, T, H, P) Euclidean norms of the patch values."""
        return self.value[..., 1 : self.num_tokens, :].float().norm(dim=-1)

    @torch.no_grad()
    def saliency(self) -> Tensor:
        """(B, T, P) how sharply each patch attends, in [0, 1] within a frame.

        The negative entropy of a patch's attention over its frame, averaged over heads: patches of an object
        attend sharply, those of the background evenly. Scaled so that the least salient patch of a frame has 0 and
        the most salient 1.
        """
        own = attention_weights(self.query[..., 1:, :], self.key[..., : self.num_tokens, :], None)
        sharpness = -torch.special.entr(own).sum(-1).mean(2)  # (B, T, P)
        low, high = sharpness.amin(-1, keepdim=True), sharpness.amax(-1, keepdim=True)
        return (sharpness - low) / (high - low).clamp_min(torch.finfo(sharpness.dtype).tiny)
