"""Attention of frame tokens over their own frame and the context tokens of the video (Sec. 2.3, Eqs. 7 and 8)."""

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from tc_clip_pl.ops.precision import without_autocast


def join_keys(frame: Tensor, context: Tensor) -> Tensor:
    """Append the context keys (or values) to those of every frame: ``[K_z | K_s]`` of Eq. 7.

    Args:
        frame: (B, T, H, N, d).
        context: (B, H, K, d), shared by the T frames.

    Returns:
        (B, T, H, N + K, d).
    """
    shared = context.unsqueeze(1).expand(-1, frame.shape[1], -1, -1, -1)
    return torch.cat((frame, shared), dim=-2)


def gather_keys(frame: Tensor, indices: Tensor) -> Tensor:
    """Append keys (or values) of other frames to those of every frame (Eq. 4).

    Args:
        frame: (B, T, H, N, d).
        indices: (T, R) int64, for each frame the positions of its R reference tokens among all T * N tokens; T * N
            stands for a zero key.

    Returns:
        (B, T, H, N + R, d).
    """
    all_tokens = pad(frame.transpose(2, 3).flatten(1, 2), (0, 0, 0, 0, 0, 1))  # (B, T * N + 1, H, d)
    references = all_tokens[:, indices].transpose(2, 3)  # (B, T, H, R, d)
    return torch.cat((frame, references), dim=-2)


def key_bias(local_global_bias: Tensor, num_frame_keys: int, num_context_keys: int) -> Tensor:
    """Expand the bias B of Eq. 8, which depends on the head and on whether a key is local or global.

    Args:
        local_global_bias: (H, 2), b_local and b_global.
        num_frame_keys: N.
        num_context_keys: K.

    Returns:
        (H, 1, N + K), to be added to the scores.
    """
    local, context = local_global_bias.unsqueeze(1).unbind(-1)  # (H, 1) each
    return torch.cat((local.expand(-1, num_frame_keys), context.expand(-1, num_context_keys)), dim=-1).unsqueeze(1)


def attention_weights(query: Tensor, key: Tensor, bias: Tensor | None) -> Tensor:
    """Compute the softmax of Eq. 7 in float32 or better despite autocast.

    Args:
        query: (..., H, Q, d), not yet scaled.
        key: (..., H, K, d).
        bias: (H, 1, K) or None.

    Returns:
        (..., H, Q, K) float32 (float64 for float64 inputs) weights; rows sum to 1.
    """
    with without_autocast(query):
        dtype = torch.promote_types(query.dtype, torch.float32)
        scores = (query.to(dtype) * query.shape[-1] ** -0.5) @ key.to(dtype).transpose(-1, -2)
        return (scores if bias is None else scores + bias.to(dtype)).softmax(-1)


def cls_scores(query: Tensor, key: Tensor) -> Tensor:
    """Compute the scaled scores of the [CLS] queries alone (Eq. 5), in float32 or better despite autocast.

    Args:
        query: (..., N, d), [CLS] first, not yet scaled.
        key: (..., K, d).

    Returns:
        (..., K).
    """
    # Seeds are ranked by these. In bfloat16 most of them would tie, and the ranking would be arbitrary.
    dtype = torch.promote_types(query.dtype, torch.float32)
    with without_autocast(query):
        query, key = query[..., :1, :].to(dtype) * query.shape[-1] ** -0.5, key.to(dtype)
        # A compiler fuses the sum with the conversion to float32; a matrix product needs the converted keys in memory.
        return (query * key).sum(-1) if torch.compiler.is_compiling() else (query @ key.transpose(-1, -2)).squeeze(-2)


def context_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """Compute ``Softmax(Q K^T / sqrt(d) + B) V`` of Eq. 7 without writing the attention matrix to memory.

    Args:
        query: (B, T, H, Q, d).
        key: (B, T, H, K, d), frame and context keys.
        value: (B, T, H, K, d).
        bias: (H, 1, K) or None. It stays this small: the kernels broadcast it.

    Returns:
        (B, T, H, Q, d).
    """
    # The fused kernels take 4 dimensions, so every frame becomes a batch entry of its own.
    shape, (query, key, value) = query.shape, (states.flatten(0, 1) for states in (query, key, value))
    if bias is None:
        output = scaled_dot_product_attention(query, key, value)
    elif query.device.type == "cpu" and torch.is_grad_enabled() and bias.requires_grad:
        output = _attention_with_bias_feature(query, key, value, bias)
    else:
        output = scaled_dot_product_attention(query, key, value, attn_mask=bias.unsqueeze(0).to(query.dtype))
    return output.unflatten(0, shape[:2])


def _attention_with_bias_feature(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Attend with the bias as one more feature of the keys, which every query has once.

    The fused attention of a CPU has no gradient for a mask: it would write the whole matrix to memory.

    Args:
        query: (B, H, Q, d).
        key: (B, H, K, d).
        value: (B, H, K, d).
        bias: (H, 1, K).

    Returns:
        (B, H, Q, d).
    """
    scale = query.shape[-1] ** -0.5
    feature = (bias.transpose(-1, -2) / scale).to(key.dtype).expand(*key.shape[:-1], 1)  # the scores are scaled
    query, key = pad(query, (0, 1), value=1.0), torch.cat((key, feature), dim=-1)
    return scaled_dot_product_attention(query, key, pad(value, (0, 1)), scale=scale)[..., :-1]
