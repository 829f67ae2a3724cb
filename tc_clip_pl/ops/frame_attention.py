"""The attention of one vision layer, as seed selection and aggregation see it: scores of its patches, on demand."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tc_clip_pl.ops.attention import attention_weights


@dataclass
class FrameAttention:
    """Queries, keys and values of one layer, from which every score is computed when it is asked for.

    The scores carry no gradient: they only choose and weigh tokens.

    Attributes:
        query: (B, T, H, N, d), [CLS] first.
        key: (B, T, H, N + R, d), the N keys of the frame itself first, then R reference keys.
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
        """Compute the attention weights of all queries, (B, T, H, N, N + R), with gradient."""
        return attention_weights(self.query, self.key, self.bias)

    @torch.no_grad()
    def cls_attention(self) -> Tensor:
        """Compute the weights that [CLS] gives to the patches, (B, T, H, P) (Eq. 5).

        The softmax runs over all keys, reference keys and bias included, before the patches are cut out.
        """
        return attention_weights(self.query[..., :1, :], self.key, self.bias)[..., 0, 1 : self.num_tokens]

    @torch.no_grad()
    def key_norms(self) -> Tensor:
        """Compute the Euclidean norms of the patch keys, (B, T, H, P)."""
        return self.key[..., 1 : self.num_tokens, :].float().norm(dim=-1)

    @torch.no_grad()
    def value_norms(self) -> Tensor:
        """Compute the Euclidean norms of the patch values, (B, T, H, P)."""
        return self.value[..., 1 : self.num_tokens, :].float().norm(dim=-1)

    @torch.no_grad()
    def saliency(self) -> Tensor:
        """Compute how sharply each patch attends, (B, T, P), in [0, 1] within a frame.

        Patches of an object attend to few tokens, those of the background to many. The score is the negative entropy of
        a patch's attention over its own frame, averaged over heads, then scaled so that the least salient patch of a
        frame has 0 and the most salient has 1.
        """
        own = attention_weights(self.query[..., 1:, :], self.key[..., : self.num_tokens, :], None)
        sharpness = -torch.special.entr(own).sum(-1).mean(2)  # (B, T, P)
        low, high = sharpness.amin(-1, keepdim=True), sharpness.amax(-1, keepdim=True)
        # A frame whose patches are all alike has range 0.
        return (sharpness - low) / (high - low).clamp_min(torch.finfo(sharpness.dtype).tiny)
