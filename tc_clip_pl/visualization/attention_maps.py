"""Attention of [CLS] or of one patch, as heatmaps over the frames (Figs. 7, 10 and 11)."""

from typing import NamedTuple

import numpy as np
import torch
from matplotlib import colormaps
from torch import Tensor

from tc_clip_pl.visualization.frames import HEAT_COLORS, RED, grid_side


class PatchQuery(NamedTuple):
    """One patch of a video: its frame, and its row and column in the patch grid, all counted from 0."""

    frame: int
    row: int
    column: int


def cls_attention_maps(attention: Tensor) -> np.ndarray:
    """Return the attention of [CLS] to each patch of its own frame, averaged over heads (Figs. 7 and 10).

    Args:
        attention: (T, H, N, N + K), one video and one layer of `TCCLIPOutput.attentions`; K may be 0.

    Returns:
        (T, side, side) float32, with side * side = P.

    Raises:
        ValueError: If the attention has another shape.
    """
    weights = _mean_over_heads(attention)
    num_tokens = weights.shape[1]
    return _as_maps(weights[:, 0, 1:num_tokens])


def patch_attention_maps(attention: Tensor, query: PatchQuery, sources: Tensor | None = None) -> np.ndarray:
    """Return the attention of one patch to every patch of the video (Fig. 11).

    The patch attends to its own frame directly, and to the others through the context tokens: the weight of a context
    token is assigned to every position that was merged into it.

    Args:
        attention: (T, H, N, N + K), one video and layer l of `TCCLIPOutput.attentions`.
        query: The patch that attends.
        sources: (K, T * P) bool, layer l - 1 of `TCCLIPOutput.sources`, because the context tokens that layer l attends
            to come from the layer before it. None for a layer without context tokens.

    Returns:
        (T, side, side) float32.

    Raises:
        ValueError: If the query lies outside the video, or the sources do not belong to the attention.
    """
    weights = _mean_over_heads(attention)
    num_frames, num_tokens, num_keys = weights.shape
    side = grid_side(num_tokens - 1)
    if not all(0 <= value < end for value, end in zip(query, (num_frames, side, side), strict=True)):
        raise ValueError(f"{query} lies outside {num_frames} frames of {side} x {side} patches.")
    expected = (num_keys - num_tokens, num_frames * (num_tokens - 1))
    given = (0, expected[1]) if sources is None else tuple(sources.shape)
    if given != expected:
        raise ValueError(f"This attention needs the sources of the previous layer, {expected}, not {given}.")
    row = weights[query.frame, 1 + query.row * side + query.column]  # (N + K,); token 0 is [CLS]
    maps = torch.zeros(num_frames, side * side) if sources is None else _spread(row[num_tokens:], sources, num_frames)
    # Added, not assigned: patches of the query's own frame may also be sources of a context token.
    maps[query.frame] += row[1:num_tokens]
    return _as_maps(maps)


def draw_heatmap(images: np.ndarray, maps: np.ndarray, per_frame: bool = True, opacity: float = 0.55) -> np.ndarray:
    """Overlay heatmaps, from blue (least) to red (most), on grayscale frames, so that color shows attention only.

    Args:
        images: (T, H, W, 3), values in 0..1.
        maps: (T, side, side), any range.
        per_frame: Whether each frame has its own scale, which suits [CLS], as its attention is normalized within each
            frame. A single query needs one scale for all frames.
        opacity: Opacity of the heatmap, in 0..1.

    Returns:
        (T, H, W, 3), values in 0..1.

    Raises:
        ValueError: If there is not one map per frame.
    """
    if len(images) != len(maps):
        raise ValueError(f"Pass one map per frame: {len(images)}, not {len(maps)}.")
    axes = (1, 2) if per_frame else None
    low, high = maps.min(axis=axes, keepdims=True), maps.max(axis=axes, keepdims=True)
    scaled = (maps - low) / np.where(high > low, high - low, 1)  # a constant map is all "least", not 0 / 0
    size = images.shape[1:3]
    smooth = torch.nn.functional.interpolate(torch.from_numpy(scaled)[:, None], size, mode="bilinear")[:, 0]
    heat = colormaps[HEAT_COLORS](smooth.numpy())[..., :3]
    return (1 - opacity) * images.mean(axis=-1, keepdims=True) + opacity * heat


def heatmap_range(maps: np.ndarray, per_frame: bool = True) -> tuple[str, str]:
    """Return what the two ends of the color bar of a heatmap mean, for `plot_frames`.

    Args:
        maps: (T, side, side), as in `draw_heatmap`.
        per_frame: As in `draw_heatmap`. With one scale per frame no number holds for all frames.

    Returns:
        Labels of the least and the most: two values, or the two words.
    """
    return ("least", "most") if per_frame else (f"{maps.min():.2g}", f"{maps.max():.2g}")


def draw_patch_outline(images: np.ndarray, query: PatchQuery, side: int) -> np.ndarray:
    """Draw a red box around the query patch, as in Fig. 11.

    Args:
        images: (T, H, W, 3), values in 0..1.
        query: The patch.
        side: Number of patches along a side of the frame.

    Returns:
        A copy of the frames with the box.
    """
    height, width = images.shape[1] // side, images.shape[2] // side
    line = max(1, height // 5)
    images = images.copy()
    # A view of the copy, so that assigning to it draws into the frame.
    patch = images[query.frame, query.row * height :, query.column * width :][:height, :width]
    patch[:line], patch[-line:], patch[:, :line], patch[:, -line:] = RED, RED, RED, RED
    return images


def _mean_over_heads(attention: Tensor) -> Tensor:
    """Reduce (T, H, N, N + K) of any dtype and device to (T, N, N + K) float32 on the CPU."""
    # The keys are the N tokens of the frame and K context tokens, so there are at least as many as queries.
    if attention.ndim != 4 or attention.shape[3] < attention.shape[2]:
        raise ValueError(f"Pass the attention of one video and one layer, (T, H, N, N + K), not {(*attention.shape,)}.")
    return attention.detach().float().mean(dim=1).cpu()


def _spread(values: Tensor, sources: Tensor, num_frames: int) -> Tensor:
    """Assign (K,) token values to all (K, T * P) source positions: (T, P), 0 where there is no source."""
    # The sources are disjoint, so the matrix product picks one value per position and sums nothing.
    return (values @ sources.cpu().to(values.dtype)).unflatten(0, (num_frames, -1))


def _as_maps(weights: Tensor) -> np.ndarray:
    """Arrange (T, P) values in row-major patch grids, (T, side, side)."""
    side = grid_side(weights.shape[1])
    return weights.unflatten(1, (side, side)).numpy()
