"""Which patches became seeds, and which seeds became which context token (Figs. 6 and 9)."""

import numpy as np
import torch
from matplotlib import colormaps
from torch import Tensor

from tc_clip_pl.visualization.frames import RED, patches_to_pixels

NO_TOKEN = -1
WHITE = 1.0
GOLDEN_RATIO = 0.618034


def token_map(sources: Tensor, num_frames: int) -> np.ndarray:
    """The context token of every patch.

    Args:
        sources: (K, T * P) bool, one video and one layer of `TCCLIPOutput.sources`.
        num_frames: T.

    Returns:
        (T, P) int64, values in [0, K), `NO_TOKEN` where a patch was no seed.

    Raises:
        ValueError: where the sources have another form, or two tokens claim one position.
    """
    if sources.ndim != 2 or sources.dtype != torch.bool or sources.shape[1] % num_frames:
        given = f"{tuple(sources.shape)} {sources.dtype}"
        raise ValueError(f"Give the sources of one video and one layer, (K, {num_frames} * P) bool, not {given}.")
    if (sources.sum(dim=0) > 1).any():
        raise ValueError("The sources of two context tokens overlap: a seed is merged into one token only.")
    tokens = torch.where(sources.any(dim=0), sources.byte().argmax(dim=0), NO_TOKEN)
    return tokens.unflatten(0, (num_frames, -1)).cpu().numpy()


def most_persistent_token(sources: Tensor, num_frames: int) -> int:
    """The context token that follows something through the most frames; of equals, the one of the fewest patches.

    Args:
        sources: (K, T * P) bool.
        num_frames: T.

    Returns:
        Its number in [0, K).
    """
    tokens = token_map(sources, num_frames)
    frames_and_patches = [((tokens == k).any(axis=1).sum(), -(tokens == k).sum()) for k in range(len(sources))]
    return max(range(len(sources)), key=frames_and_patches.__getitem__)


def draw_seeds(images: np.ndarray, sources: Tensor, fade: float = 0.85) -> np.ndarray:
    """Leaves the seed tokens of every frame as they are and fades the rest to white (Figs. 6 and 9, "seed tokens").

    Args:
        images: (T, H, W, 3), values in 0..1.
        sources: (K, T * P) bool; all sources together are the seeds.
        fade: share of white in the rest, in 0..1.

    Returns:
        (T, H, W, 3), values in 0..1.

    Raises:
        ValueError: where sources and frames do not fit together.
    """
    is_seed = patches_to_pixels(token_map(sources, len(images)), images.shape[1:3]) != NO_TOKEN
    return np.where(is_seed[..., None], images, (1 - fade) * images + fade * WHITE)


def draw_context_tokens(
    images: np.ndarray, sources: Tensor, highlight: int | None = None, border: int = 2
) -> np.ndarray:
    """Paints the sources of each context token in their average color (Figs. 6 and 9, "context tokens").

    Patches of the same inner and border color, in whichever frames, are one context token.

    Args:
        images: (T, H, W, 3), values in 0..1.
        sources: (K, T * P) bool.
        highlight: the context token to show in red, in [0, K), or None.
        border: width of the lines between tokens in pixels; 0 for none.

    Returns:
        (T, H, W, 3), values in 0..1; white where no seed was.

    Raises:
        ValueError: where sources and frames do not fit together, or there is no such token.
    """
    num_tokens = len(sources)
    if highlight is not None and not 0 <= highlight < num_tokens:
        raise ValueError(f"There is no context token {highlight}: they are numbered 0 to {num_tokens - 1}.")
    tokens = patches_to_pixels(token_map(sources, len(images)), images.shape[1:3])  # (T, H, W)
    fill, line = average_colors(images, tokens, num_tokens), border_colors(num_tokens)
    if highlight is not None:
        fill[highlight] = line[highlight] = RED
    # NO_TOKEN is -1, so it picks the white row at the end.
    fill, line = (np.vstack((colors, np.full((1, 3), WHITE))) for colors in (fill, line))
    return np.where(edges(tokens, border)[..., None], line[tokens], fill[tokens])


def average_colors(images: np.ndarray, tokens: np.ndarray, num_tokens: int) -> np.ndarray:
    """The mean color of all pixels of each token, over all frames.

    Args:
        images: (T, H, W, 3).
        tokens: (T, H, W) int64, values in [0, K) or `NO_TOKEN`.
        num_tokens: K.

    Returns:
        (K, 3); black for a token without pixels.
    """
    belongs = tokens != NO_TOKEN
    labels, pixels = tokens[belongs], images[belongs]
    counts = np.bincount(labels, minlength=num_tokens).clip(min=1)
    return np.stack([np.bincount(labels, pixels[:, c], num_tokens) / counts for c in range(3)], axis=-1)


def border_colors(num_tokens: int) -> np.ndarray:
    """(K, 3) colors that tell tokens apart: steps of the golden ratio around the color wheel, red left out."""
    hues = 0.08 + 0.84 * (np.arange(num_tokens) * GOLDEN_RATIO % 1)
    return colormaps["hsv"](hues)[:, :3]


def edges(tokens: np.ndarray, width: int) -> np.ndarray:
    """The pixels of a token that are less than ``width`` away from another token or from the end of the frame.

    Args:
        tokens: (T, H, W) int64; no region is narrower than ``width``.
        width: in pixels.

    Returns:
        (T, H, W) bool, False outside all tokens.
    """
    height, wide = tokens.shape[1:]
    padded = np.pad(tokens, ((0, 0), (width, width), (width, width)), constant_values=NO_TOKEN)
    corners = ((0, width), (2 * width, width), (width, 0), (width, 2 * width))  # up, down, left, right
    neighbors = [padded[:, top : top + height, left : left + wide] for top, left in corners]
    return (tokens != NO_TOKEN) & np.any([tokens != neighbor for neighbor in neighbors], axis=0)
