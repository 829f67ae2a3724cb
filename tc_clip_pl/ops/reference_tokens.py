"""What a frame attends to beside itself (Table 1, Fig. 2, Eq. 4).

Context tokens, the paper's choice, are made by the layer before. The others are tokens of other frames in the same
layer, so they are plain index arithmetic. A frame's own tokens are among its keys already; no token is a key twice.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from tc_clip_pl.registry import Registry

ReferenceTokens = Callable[[int, int], Tensor | None]
REFERENCE_TOKENS: Registry[ReferenceTokens] = Registry("reference_tokens")


@REFERENCE_TOKENS.register("context", reads=("seed_selection", "aggregation", "tc_layers", "local_global_bias"))
def context(num_frames: int, num_tokens: int) -> None:
    """Context tokens of the layer before (Fig. 2d); no token of another frame directly."""


@REFERENCE_TOKENS.register("none")
def no_reference(num_frames: int, num_tokens: int) -> None:
    """Nothing: frame-wise attention, as in ViFi-CLIP."""


@REFERENCE_TOKENS.register("cls", reads=("tc_layers", "local_global_bias"))
def cls_tokens(num_frames: int, num_tokens: int) -> Tensor:
    """[CLS] of all other frames: cross-frame attention (Fig. 2a)."""
    return _other_frames(num_frames) * num_tokens


@REFERENCE_TOKENS.register("adjacent", reads=("tc_layers", "local_global_bias"))
def adjacent_patches(num_frames: int, num_tokens: int) -> Tensor:
    """Patches of the frames before and after: temporal window expansion (Fig. 2b), s = [z_(t-1), z_(t+1)].

    The first and the last frame, which have one neighbour, take the two frames nearest to them.

    Raises:
        ValueError: for fewer than three frames.
    """
    if num_frames < 3:
        raise ValueError(f"reference_tokens 'adjacent' needs at least 3 frames, not {num_frames}.")
    others = _other_frames(num_frames)
    distance = (others - torch.arange(num_frames)[:, None]).abs()
    nearest = distance.argsort(dim=1, stable=True)[:, :2]
    return _patches(others.gather(1, nearest), num_tokens)


@REFERENCE_TOKENS.register("all", reads=("tc_layers", "local_global_bias"))
def all_patches(num_frames: int, num_tokens: int) -> Tensor:
    """Patches of all other frames: joint space-time attention (Fig. 2c)."""
    return _patches(_other_frames(num_frames), num_tokens)


def _other_frames(num_frames: int) -> Tensor:
    """(T, T - 1) numbers of the other frames, in order."""
    frames = torch.arange(num_frames)
    return frames.expand(num_frames, -1)[frames[:, None] != frames].view(num_frames, -1)


def _patches(frames: Tensor, num_tokens: int) -> Tensor:
    """(T, F) frame numbers to the (T, F * P) positions of their patches among all T * N tokens."""
    return (frames[..., None] * num_tokens + torch.arange(1, num_tokens)).flatten(1)
