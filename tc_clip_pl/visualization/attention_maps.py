"""Where the model looks: the attention of [CLS] or of one patch, as heat maps over the frames (Figs. 7, 10 and 11)."""

from typing import NamedTuple

import numpy as np
import torch
from matplotlib import colormaps
from torch import Tensor

from tc_clip_pl.visualization.frames import RED, grid_side


class PatchQuery(NamedTuple):
    """One patch of a video: its frame, and its row and column in the grid of patches, all from 0."""

    frame: int
    row: int
    column: int


def cls_attention_maps(attention: Tensor) -> np.ndarray:
    """How much [CLS] attends to each patch of its own frame, averaged over the heads (Figs. 7 and 10).

    Args:
        attention: (T, H, N, N + K), one video and one layer of `TCCLIPOutput.attentions`; K may be 0.

    Returns:
        (T, side, side) float32, with side * side = P.

    Raises:
        ValueError: where the attention has another form.
    """
    weights = _mean_over_heads(attention)
    num_tokens = weights.shape[1]
    return _as_maps(weights[:, 0, 1:num_tokens])


def patch_attention_maps(attention: Tensor, query: PatchQuery, sources: Tensor | None = None) -> np.ndarray:
    """How much one patch attends to every patch of the video (Fig. 11).

    Patches of its own frame are attended to directly. What a context token gets is assigned to each of the positions
    that were merged into it, in whichever frames they lie.

    Args:
        attention: (T, H, N, N + K), one video and layer l of `TCCLIPOutput.attentions`.
        query: the patch that attends.
        sources: (K, T * P) bool, of layer l - 1 in `TCCLIPOutput.sources`: the context tokens that layer l attends to
            were made by the layer before it. None for a layer without context tokens.

    Returns:
        (T, side, side) float32.

    Raises:
        ValueError: where the query lies outside the video, or attention and sources do not fit together.
    """
    weights = _mean_over_heads(attention)
    num_frames, num_tokens, num_keys = weights.shape
    side = grid_side(num_tokens - 1)
    if not all(0 <= value < end for value, end in zip(query, (num_frames, side, side), strict=True)):
        raise ValueError(f"{query} lies outside {num_frames} frames of {side} x {side} patches.")
    expected = (num_keys - num_tokens, num_frames * (num_tokens - 1))
    given = (0, expected[1]) if sources is None else tuple(sources.shape)
    if given != expected:
        raise ValueError(f"This attention goes with sources of the layer before it of shape {expected}, not {given}.")
    row = weights[query.frame, 1 + query.row * side + query.column]  # (N + K,)
    maps = torch.zeros(num_frames, side * side) if sources is None else _spread(row[num_tokens:], sources, num_frames)
    maps[query.frame] += row[1:num_tokens]
    return _as_maps(maps)


def overlay_heat(images: np.ndarray, maps: np.ndarray, per_frame: bool = True, opacity: float = 0.55) -> np.ndarray:
    """Lays heat maps over gray frames, so that color means attention only: from blue (least) to red (most).

    Args:
        images: (T, H, W, 3), values in 0..1.
        maps: (T, side, side), any range.
        per_frame: whether each frame has its own scale, as suits [CLS], whose attention adds up in every frame anew; or
            all share one, as suits a single query.
        opacity: of the heat, in 0..1.

    Returns:
        (T, H, W, 3), values in 0..1.

    Raises:
        ValueError: where there is not one map for each frame.
    """
    if len(images) != len(maps):
        raise ValueError(f"{len(images)} frames need as many maps, not {len(maps)}.")
    axes = (1, 2) if per_frame else None
    low, high = maps.min(axis=axes, keepdims=True), maps.max(axis=axes, keepdims=True)
    scaled = (maps - low) / np.where(high > low, high - low, 1)
    size = images.shape[1:3]
    smooth = torch.nn.functional.interpolate(torch.from_numpy(scaled)[:, None], size, mode="bilinear")[:, 0]
    heat = colormaps["turbo"](smooth.numpy())[..., :3]
    return (1 - opacity) * images.mean(axis=-1, keepdims=True) + opacity * heat


def outline_patch(images: np.ndarray, query: PatchQuery, side: int) -> np.ndarray:
    """Draws a red box around the patch that attends, as in Fig. 11.

    Args:
        images: (T, H, W, 3), values in 0..1.
        query: the patch.
        side: patches along a side of the frame.

    Returns:
        A changed copy.
    """
    height, width = images.shape[1] // side, images.shape[2] // side
    line = max(1, height // 5)
    images = images.copy()
    patch = images[query.frame, query.row * height :, query.column * width :][:height, :width]  # a view
    patch[:line], patch[-line:], patch[:, :line], patch[:, -line:] = RED, RED, RED, RED
    return images


def _mean_over_heads(attention: Tensor) -> Tensor:
    """(T, H, N, N + K) of any dtype and device to (T, N, N + K) float32 on the CPU."""
    if attention.ndim != 4 or attention.shape[3] < attention.shape[2]:
        raise ValueError(f"Give the attention of one video and one layer, (T, H, N, N + K), not {(*attention.shape,)}.")
    return attention.detach().float().mean(dim=1).cpu()


def _spread(values: Tensor, sources: Tensor, num_frames: int) -> Tensor:
    """(K,) values at the (K, T * P) positions of their tokens: (T, P). Positions of no token get 0."""
    return (values @ sources.cpu().to(values.dtype)).unflatten(0, (num_frames, -1))


def _as_maps(weights: Tensor) -> np.ndarray:
    side = grid_side(weights.shape[1])
    return weights.unflatten(1, (side, side)).numpy()
