"""Informative token selection: the seeds of every frame (Sec. 2.3, Eq. 5)."""

from torch import Tensor


def count_seeds(num_patches: int, seed_ratio: float) -> int:
    """Seeds per frame, ``n_s = int(N * alpha)`` (Sec. 2.3).

    >>> count_seeds(196, 0.3)
    58
    """
    return int(num_patches * seed_ratio)


def select_seeds(cls_attention: Tensor, num_seeds: int) -> Tensor:
    """The patches that [CLS] attends to most, averaged over heads (Table 8a, "Averaged CLS attn.").

    Args:
        cls_attention: (B, T, H, P), the [CLS] row of the attention probabilities at the patch keys. The softmax has
            run over all keys, [CLS] and context tokens included, so a row adds up to less than 1.
        num_seeds: S, at most P.

    Returns:
        (B, T, S) int64 patch indices, in descending order of score.
    """
    return cls_attention.mean(dim=2).topk(num_seeds, dim=-1).indices
