"""Which patches became seed tokens, and which seeds were merged into which context token (Figs. 6 and 9)."""

import numpy as np
import torch
from matplotlib import colormaps
from torch import Tensor

from tc_clip_pl.visualization.frames import RED, grid_side, patches_to_pixels

NO_TOKEN = -1
WHITE = 1.0
GOLDEN_RATIO = 0.618034


def map_context_tokens(sources: Tensor, num_frames: int) -> np.ndarray:
    """Return the context token of every patch.

    Args:
        sources: (K, T * P) bool, one video and one layer of `TCCLIPOutput.sources`.
        num_frames: T.

    Returns:
        (T, P) int64, values in [0, K), `NO_TOKEN` where a patch is no seed.

    Raises:
        ValueError: If the sources have another shape or dtype, or two tokens claim one position.
    """
    if sources.ndim != 2 or sources.dtype != torch.bool or sources.shape[1] % num_frames:
        given = f"{tuple(sources.shape)} {sources.dtype}"
        raise ValueError(f"Pass the sources of one video and one layer, (K, {num_frames} * P) bool, not {given}.")
    if (sources.sum(dim=0) > 1).any():
        raise ValueError("The sources of two context tokens overlap: a seed is merged into one token only.")
    # At most one row of a column is True, and argmax finds it; columns without one are masked. argmax takes no bool.
    tokens = torch.where(sources.any(dim=0), sources.byte().argmax(dim=0), NO_TOKEN)
    return tokens.unflatten(0, (num_frames, -1)).cpu().numpy()


def most_persistent_token(sources: Tensor, num_frames: int) -> int:
    """Return the context token with sources in the most frames; of equals, the one with the fewest patches.

    Fewer patches in as many frames means a smaller thing that is followed, which makes the clearer figure.

    Args:
        sources: (K, T * P) bool.
        num_frames: T.

    Returns:
        Index of the token, in [0, K).
    """
    tokens = map_context_tokens(sources, num_frames)
    ranking = [((tokens == k).any(axis=1).sum(), -(tokens == k).sum()) for k in range(len(sources))]
    return max(range(len(sources)), key=ranking.__getitem__)


def draw_seed_tokens(images: np.ndarray, sources: Tensor, fade: float = 0.85) -> np.ndarray:
    """Keep the seed patches of every frame and fade the others to white (Figs. 6 and 9, "seed tokens").

    Args:
        images: (T, H, W, 3), values in 0..1.
        sources: (K, T * P) bool; the union over K is the set of seeds.
        fade: Opacity of the white over other patches, in 0..1.

    Returns:
        (T, H, W, 3), values in 0..1.

    Raises:
        ValueError: If the sources do not belong to these frames.
    """
    is_seed = patches_to_pixels(map_context_tokens(sources, len(images)), images.shape[1:3]) != NO_TOKEN
    return np.where(is_seed[..., None], images, (1 - fade) * images + fade * WHITE)


def draw_context_tokens(
    images: np.ndarray, sources: Tensor, highlight: int | None = None, border: int = 2
) -> np.ndarray:
    """Fill the sources of each context token with their average color (Figs. 6 and 9, "context tokens").

    Patches with the same fill and border color, in any frame, belong to the same context token. The highlighted token
    keeps its fill, so that the figure still shows what it is, and has a red border of twice the width.

    Args:
        images: (T, H, W, 3), values in 0..1.
        sources: (K, T * P) bool.
        highlight: Context token to outline in red, in [0, K), or None.
        border: Width of the borders between tokens in pixels; 0 for none.

    Returns:
        (T, H, W, 3), values in 0..1; white where there is no seed.

    Raises:
        ValueError: If the sources do not belong to these frames, or `highlight` is no token of theirs.
    """
    num_tokens = len(sources)
    if highlight is not None and not 0 <= highlight < num_tokens:
        raise ValueError(f"There is no context token {highlight}: choose one of 0 to {num_tokens - 1}.")
    patches = map_context_tokens(sources, len(images))
    tokens = patches_to_pixels(patches, images.shape[1:3])  # (T, H, W)
    # NO_TOKEN is -1, so indexing with it takes the white row appended at the end.
    fill, line = (
        np.vstack((colors, np.full((1, 3), WHITE)))
        for colors in (average_colors(images, tokens, num_tokens), border_colors(num_tokens))
    )
    drawn = np.where(token_borders(tokens, border)[..., None], line[tokens], fill[tokens])
    if highlight is None:
        return drawn
    # At most a quarter of a patch, so that half of it still shows the fill.
    width = max(1, border, min(2 * border, images.shape[1] // grid_side(patches.shape[1]) // 4))
    outline = token_borders(np.where(tokens == highlight, tokens, NO_TOKEN), width)
    return np.where(outline[..., None], RED, drawn)


def average_colors(images: np.ndarray, tokens: np.ndarray, num_tokens: int) -> np.ndarray:
    """Return the mean color of each token's pixels over all frames.

    Args:
        images: (T, H, W, 3).
        tokens: (T, H, W) int64, values in [0, K) or `NO_TOKEN`.
        num_tokens: K.

    Returns:
        (K, 3); black for a token without pixels.
    """
    has_token = tokens != NO_TOKEN
    labels, pixels = tokens[has_token], images[has_token]
    counts = np.bincount(labels, minlength=num_tokens).clip(min=1)
    return np.stack([np.bincount(labels, pixels[:, c], num_tokens) / counts for c in range(3)], axis=-1)


def border_colors(num_tokens: int) -> np.ndarray:
    """Return (K, 3) colors that are easy to tell apart, none of them red."""
    # Steps of the golden ratio never come close to an earlier hue, whatever K is. Red lies at both ends of the wheel.
    hues = 0.08 + 0.84 * (np.arange(num_tokens) * GOLDEN_RATIO % 1)
    return colormaps["hsv"](hues)[:, :3]


def token_borders(tokens: np.ndarray, width: int) -> np.ndarray:
    """Return the pixels of a token within ``width`` of another token or of the end of the frame.

    Args:
        tokens: (T, H, W) int64; no region narrower than ``width``.
        width: In pixels.

    Returns:
        (T, H, W) bool, False outside all tokens.
    """
    height, frame_width = tokens.shape[1:]
    # Comparing with four shifted copies is enough where no region is narrower than the shift: nothing is jumped over.
    padded = np.pad(tokens, ((0, 0), (width, width), (width, width)), constant_values=NO_TOKEN)
    offsets = ((0, width), (2 * width, width), (width, 0), (width, 2 * width))  # up, down, left, right
    neighbors = [padded[:, top : top + height, left : left + frame_width] for top, left in offsets]
    return (tokens != NO_TOKEN) & np.any([tokens != neighbor for neighbor in neighbors], axis=0)
