"""Frames matched to phrases by entropic optimal transport: OST's "optimal descriptor solver", as functions of tensors.

Frames and phrases are compared one by one. A plan says how much of each frame goes to each phrase, all frames and all
phrases counting alike, and the similarities weighed by it are the matched score.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from tc_clip_pl.ops.precision import without_autocast

ENTROPY = 0.1  # weight of the plan's entropy: the smaller, the sharper the matching
MAX_ROUNDS = 100
TOLERANCE = 0.01


@torch.no_grad()
def transport_plan(similarities: Tensor) -> tuple[Tensor, int]:
    """Solve the transport of each pair of video and class with Sinkhorn's rounds, without gradient.

    Args:
        similarities: (..., T, N), cosines of frames and phrases, float32 or better; the cost is 1 less the cosine.

    Returns:
        (..., T, N) plans, whose columns sum to 1 / N and whose rows sum to about 1 / T; and the number of rounds.
        The rounds end for all pairs together, so other pairs in the call may change a plan by about 1e-5.
    """
    num_frames, num_phrases = similarities.shape[-2:]
    kernel = ((similarities - 1) / ENTROPY).exp()
    rows, columns = torch.ones_like(kernel[..., :1]), torch.ones_like(kernel[..., :1, :])
    rounds, change = 0, torch.inf
    # On a meta device, where the cost is counted, there is no change to look at.
    while rounds < MAX_ROUNDS and (kernel.is_meta or change >= TOLERANCE):
        before = rows
        rows = 1 / (num_frames * (kernel * columns).sum(-1, keepdim=True))
        columns = 1 / (num_phrases * (kernel * rows).sum(-2, keepdim=True))
        rounds, change = rounds + 1, (rows - before).abs().mean()
    return rows * kernel * columns, rounds


def match_phrases(frames: Tensor, phrases: Tensor) -> Tensor:
    """Compute the pooled similarity plus the transported one; the gradient passes through the similarities alone.

    Args:
        frames: (B, T, E), each of unit length.
        phrases: (A, N, E), or (B, A, N, E) where every video has its own, each of unit length.

    Returns:
        (B, A), up to 2.
    """
    similarities = frames.unsqueeze(1) @ phrases.transpose(-1, -2)  # (B, A, T, N)
    plan, _ = transport_plan(similarities)
    # The cosine of two means that are not normalized is the mean of all cosines.
    return similarities.mean((-2, -1)) + (plan * similarities).sum((-2, -1))


def matching_logits(frame_embeds: Tensor, phrase_embeds: Tensor, logit_scale: Tensor) -> Tensor:
    """Score videos against classes that have several kinds of phrases, in float32 or better.

    Args:
        frame_embeds: (B, T, E), of any norm.
        phrase_embeds: (A, K, N, E) or (B, A, K, N, E), of any norm: N phrases of each of K kinds.
        logit_scale: (), the logarithm of the inverse temperature.

    Returns:
        (B, A) logits, up to 2 exp(logit_scale): nearly twice as large as CLIP's.
    """
    with without_autocast(frame_embeds):
        dtype = torch.promote_types(frame_embeds.dtype, torch.float32)
        frames, phrases = (normalize(embeds.to(dtype), dim=-1) for embeds in (frame_embeds, phrase_embeds))
        of_kinds = [match_phrases(frames, kind) for kind in phrases.unbind(-3)]
        return logit_scale.exp().to(dtype) * torch.stack(of_kinds).mean(0)
