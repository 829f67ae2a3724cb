"""The attention of one vision layer, as seed selection and aggregation see it: scores of its patches, on demand."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tc_clip_pl.ops.attention import attention_weights, cls_scores, context_attention, join_keys, key_bias


@dataclass
class FrameAttention:
    """Queries, keys and values of one layer, from which every score is computed when it is asked for.

    The scores carry no gradient: they only choose and weigh tokens.

    Attributes:
        cls_query: (B, T, H, 1, d), of [CLS].
        find_query: Returns the queries of all tokens, (B, T, H, N, d), [CLS] first. The last layer does not have them
            yet: it computes them only for who asks.
        key: (B, T, H, N + R, d), the N keys of the frame itself first, then R reference keys.
        value: (B, T, H, N + R, d).
        bias: (H, 1, N + R) or None.
        num_tokens: N, tokens of one frame.
    """

    cls_query: Tensor
    find_query: Callable[[], Tensor]
    key: Tensor
    value: Tensor
    bias: Tensor | None
    num_tokens: int

    @property
    def query(self) -> Tensor:
        """(B, T, H, N, d) queries of all tokens, [CLS] first."""
        return self.find_query()

    def attend(self, query: Tensor) -> Tensor:
        """Attend for any (B, T, H, Q, d) queries, with gradient: (B, T, H, Q, d)."""
        return context_attention(query, self.key, self.value, self.bias)

    def weights(self) -> Tensor:
        """Compute the attention weights of all queries, (B, T, H, N, N + R), with gradient."""
        return attention_weights(self.query, self.key, self.bias)

    def cls_attention(self) -> Tensor:
        """Compute the weights that [CLS] gives to the patches, (B, T, H, P) (Eq. 5).

        The softmax runs over all keys, reference keys and bias included, before the patches are cut out.
        """
        scores = self._cls_scores()
        weights = (scores if self.bias is None else scores + self.bias.squeeze(-2).to(scores.dtype)).softmax(-1)
        return weights[..., 1 : self.num_tokens].detach()

    def _cls_scores(self) -> Tensor:
        return cls_scores(self.cls_query, self.key)

    def key_norms(self) -> Tensor:
        """Compute the Euclidean norms of the patch keys, (B, T, H, P)."""
        return self.key[..., 1 : self.num_tokens, :].detach().float().norm(dim=-1)

    def value_norms(self) -> Tensor:
        """Compute the Euclidean norms of the patch values, (B, T, H, P)."""
        return self.value[..., 1 : self.num_tokens, :].detach().float().norm(dim=-1)

    def saliency(self) -> Tensor:
        """Compute how sharply each patch attends, (B, T, P), in [0, 1] within a frame.

        Patches of an object attend to few tokens, those of the background to many. The score is the negative entropy of
        a patch's attention over its own frame, averaged over heads, then scaled so that the least salient patch of a
        frame has 0 and the most salient has 1.
        """
        own = attention_weights(self.query[..., 1:, :].detach(), self.key[..., : self.num_tokens, :].detach(), None)
        sharpness = -torch.special.entr(own).sum(-1).mean(2)  # (B, T, P)
        low, high = sharpness.amin(-1, keepdim=True), sharpness.amax(-1, keepdim=True)
        # A frame whose patches are all alike has range 0.
        return (sharpness - low) / (high - low).clamp_min(torch.finfo(sharpness.dtype).tiny)


class UnjoinedAttention(FrameAttention):
    """The attention of a kernel that reads frame and context keys where they are; they are joined only for who asks.

    Args:
        kernel: The kernel (`kernels.attention.attend_with_context`).
        cls_query: (B, T, H, 1, d).
        find_query: As in `FrameAttention`.
        keys: (B, T, H, N, d) of the frames, and (B, H, K, d) of the context tokens.
        values: Likewise.
        local_global_bias: (H, 2), or None.
    """

    def __init__(
        self,
        kernel: Callable[..., Tensor],
        cls_query: Tensor,
        find_query: Callable[[], Tensor],
        keys: tuple[Tensor, Tensor],
        values: tuple[Tensor, Tensor],
        local_global_bias: Tensor | None,
    ) -> None:
        self._kernel, self.cls_query, self.find_query = kernel, cls_query, find_query
        self._keys, self._values, self._local_global_bias = keys, values, local_global_bias
        counts = (keys[0].shape[-2], keys[1].shape[-2])
        self.num_tokens = counts[0]
        self.bias = None if local_global_bias is None else key_bias(local_global_bias, *counts)

    @property
    def key(self) -> Tensor:
        """(B, T, H, N + K, d) keys."""
        return join_keys(*self._keys)

    @property
    def value(self) -> Tensor:
        """(B, T, H, N + K, d) values."""
        return join_keys(*self._values)

    def attend(self, query: Tensor) -> Tensor:
        """Attend for any (B, T, H, Q, d) queries, with gradient: (B, T, H, Q, d)."""
        bias, num_heads = self._local_global_bias, query.shape[2]
        difference = query.new_zeros(num_heads, dtype=torch.float32) if bias is None else bias[:, 1] - bias[:, 0]
        return self._kernel(query, self._keys[0], self._values[0], self._keys[1], self._values[1], difference)

    def _cls_scores(self) -> Tensor:
        frame, context = self._keys
        return torch.cat((cls_scores(self.cls_query, frame), cls_scores(self.cls_query, context.unsqueeze(1))), dim=-1)
