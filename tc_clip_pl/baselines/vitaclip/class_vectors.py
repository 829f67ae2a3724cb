"""Which classes a Vita-CLIP has text vectors for, and where they stand (Vita-CLIP, Sec. 3.3)."""

from collections.abc import Sequence

import torch
from torch import Tensor


def insert_vectors(token_embeds: Tensor, vectors: Tensor) -> Tensor:
    """Put vectors behind SOS: [SOS | vectors | class name | "." | EOS].

    Args:
        token_embeds: (Y, L, D), of [SOS | class name | "." | EOS].
        vectors: (Y, M, D), or (M, D) for all classes alike.

    Returns:
        (Y, L + M, D).
    """
    vectors = vectors.expand(len(token_embeds), -1, -1)
    return torch.cat((token_embeds[:, :1], vectors, token_embeds[:, 1:]), dim=1)


def find_rows(class_names: Sequence[str], trained: Sequence[str]) -> tuple[list[int], list[str]]:
    """Look classes up among those that were trained.

    Returns:
        The number of each class there, and the names that are not among them.

    Example:
        >>> find_rows(["run", "fly"], ["walk", "run"])
        ([1], ['fly'])
    """
    number = {name: position for position, name in enumerate(trained)}
    unknown = [name for name in class_names if name not in number]
    return [number[name] for name in class_names if name in number], unknown
