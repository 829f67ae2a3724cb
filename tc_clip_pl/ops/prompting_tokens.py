"""Which vision tokens the prompting reads (Table 13b).

Every choice takes the frame tokens of a layer, (B, T, N, D) with [CLS] first, and its context tokens, (B, K, D) or None
where the layer makes none; it returns (B, R, D) tokens.
"""

from collections.abc import Callable

from torch import Tensor

from tc_clip_pl.registry import Registry

PromptingTokens = Callable[[Tensor, Tensor | None], Tensor]
PROMPTING_TOKENS: Registry[PromptingTokens] = Registry("prompting_tokens")


@PROMPTING_TOKENS.register("context", reads=("seed_selection", "aggregation"))
def context_tokens(hidden_states: Tensor, context_tokens: Tensor) -> Tensor:
    """Return the context tokens of the layer, (B, K, D): the paper's choice."""
    return context_tokens


@PROMPTING_TOKENS.register("cls")
def cls_tokens(hidden_states: Tensor, context_tokens: Tensor | None) -> Tensor:
    """Return [CLS] of every frame, (B, T, D)."""
    return hidden_states[:, :, 0]


@PROMPTING_TOKENS.register("pooled")
def pooled_tokens(hidden_states: Tensor, context_tokens: Tensor | None) -> Tensor:
    """Return the mean over the patches of every frame ("GAP tokens"), (B, T, D)."""
    return hidden_states[:, :, 1:].mean(2)


# These do not read the patches of `hidden_states`, so that the last layer may leave them out.
PATCH_FREE = (context_tokens, cls_tokens)
