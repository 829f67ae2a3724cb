"""Deep prompts: learned vectors that join the tokens of a layer, others in every layer (ViFi-CLIP, Sec. 3.3).

The first layer's vectors join the tokens; before each of the next layers that have vectors of their own, these take the
place of what the layer before made of its vectors. After the deepest one the prompt tokens simply pass on. Where every
layer has vectors, nothing reads what a layer makes of them: they are keys and values alone, and TC-CLIP takes them as
such.

The authors' code rounds deep vectors and their gradients to float16 where it uses them. Here they keep their precision,
which moves the norms of gradients by 2e-5.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def append_prompts(tokens: Tensor, prompts: Tensor) -> Tensor:
    """Put (n, D) vectors behind (X, N, D) tokens: (X, N + n, D)."""
    return torch.cat((tokens, prompts.expand(tokens.shape[0], -1, -1)), dim=1)


def replace_last(tokens: Tensor, prompts: Tensor) -> Tensor:
    """Put (n, D) vectors in the place of the last n of (X, N + n, D) tokens: the vision encoder's."""
    return append_prompts(tokens[:, : tokens.shape[1] - len(prompts)], prompts)


def insert_after_first(tokens: Tensor, prompts: Tensor) -> Tensor:
    """Put (n, D) vectors between the first and the second of (X, L, D) tokens, as behind SOS: (X, L + n, D)."""
    return torch.cat((append_prompts(tokens[:, :1], prompts), tokens[:, 1:]), dim=1)


def replace_after_first(tokens: Tensor, prompts: Tensor) -> Tensor:
    """Put (n, D) vectors in the place of the n tokens behind the first, of (X, L + n, D): the text encoder's."""
    return torch.cat((append_prompts(tokens[:, :1], prompts), tokens[:, 1 + len(prompts) :]), dim=1)


def run_prompted(
    layers: Iterable[Callable[[Tensor], Tensor]],
    tokens: Tensor,
    prompts: Tensor,
    replace: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Run layers, the prompts of the first already being among the tokens.

    Args:
        layers: Each from tokens to tokens of the same shape.
        tokens: (X, N + n, D).
        prompts: (J, n, D) vectors of the first J layers.
        replace: Puts the vectors of a layer in the place of those before: `replace_last` or `replace_after_first`.
    """
    for number, layer in enumerate(layers):
        if 0 < number < len(prompts):
            tokens = replace(tokens, prompts[number])
        tokens = layer(tokens)
    return tokens
