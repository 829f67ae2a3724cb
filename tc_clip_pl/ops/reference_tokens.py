"""What a frame attends to besides itself (Table 1, Fig. 2, Eq. 4).

The previous layer makes context tokens, the paper's choice. All other choices are tokens of other frames in the same
layer, so they are given by their positions: a choice takes T and N and returns (T, R) indices into the T * N tokens,
or None for context tokens, if the previous layer made any. A frame's own tokens are always among its keys;
a choice leaves them out, because a key that occurs twice would count twice in the softmax. The index T * N stands for
a token that is not there: its key and value are zero. A choice that does not read `tc_layers` acts in all layers.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from tc_clip_pl.registry import Registry

ReferenceTokens = Callable[[int, int], Tensor | None]
REFERENCE_TOKENS: Registry[ReferenceTokens] = Registry("reference_tokens")


@REFERENCE_TOKENS.register("context", reads=("seed_selection", "aggregation", "tc_layers", "local_global_bias"))
def context(num_frames: int, num_tokens: int) -> None:
    """Return None: the context tokens of the previous layer (Fig. 2d), but no token of another frame itself."""


@REFERENCE_TOKENS.register("none")
def no_reference(num_frames: int, num_tokens: int) -> None:
    """Return None, and no layer makes context tokens: frame-wise attention, as in ViFi-CLIP."""


@REFERENCE_TOKENS.register("cls", reads=("tc_layers", "local_global_bias"))
def cls_tokens(num_frames: int, num_tokens: int) -> Tensor:
    """Return [CLS] of all other frames, (T, T - 1): cross-frame attention (Fig. 2a)."""
    return _other_frames(num_frames) * num_tokens


@REFERENCE_TOKENS.register("adjacent", reads=("tc_layers", "local_global_bias"))
def adjacent_patches(num_frames: int, num_tokens: int) -> Tensor:
    """Return the patches of the frames before and after, (T, 2 * P): temporal window expansion (Fig. 2b).

    The first and the last frame have one neighbor only and take the two frames nearest to them, so that every frame
    has the same number of keys.

    Raises:
        ValueError: If there are fewer than three frames.
    """
    if num_frames < 3:
        raise ValueError(f"reference_tokens 'adjacent' needs at least 3 frames, not {num_frames}.")
    others = _other_frames(num_frames)
    distance = (others - torch.arange(num_frames)[:, None]).abs()
    nearest = distance.argsort(dim=1, stable=True)[:, :2]
    return _patches(others.gather(1, nearest), num_tokens)


@REFERENCE_TOKENS.register("window")
def window(num_frames: int, num_tokens: int) -> Tensor:
    """Return all tokens of the frames before and after, [CLS] included, (T, 2 * N): the attention of Open-VCLIP.

    The missing neighbor of the first and of the last frame is N zero keys and values, which take part in the softmax.
    """
    neighbors = torch.arange(num_frames)[:, None] + torch.tensor([-1, 1])  # (T, 2)
    positions = neighbors[..., None] * num_tokens + torch.arange(num_tokens)
    is_missing = (neighbors < 0) | (neighbors == num_frames)
    return positions.masked_fill(is_missing[..., None], num_frames * num_tokens).flatten(1)


@REFERENCE_TOKENS.register("all", reads=("tc_layers", "local_global_bias"))
def all_patches(num_frames: int, num_tokens: int) -> Tensor:
    """Return the patches of all other frames, (T, (T - 1) * P): joint space-time attention (Fig. 2c)."""
    return _patches(_other_frames(num_frames), num_tokens)


def _other_frames(num_frames: int) -> Tensor:
    """List the indices of the other frames in order, (T, T - 1)."""
    frames = torch.arange(num_frames)
    return frames.expand(num_frames, -1)[frames[:, None] != frames].view(num_frames, -1)


def _patches(frames: Tensor, num_tokens: int) -> Tensor:
    """(T, F) frame indices to the (T, F * P) positions of their patches among all T * N tokens."""
    return (frames[..., None] * num_tokens + torch.arange(1, num_tokens)).flatten(1)  # 0 is [CLS]
