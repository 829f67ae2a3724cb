"""All that a model sees in one video, row by row (Figs. 6, 7 and 9-11)."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tc_clip_pl.modules.outputs import TCCLIPOutput
from tc_clip_pl.visualization.attention_maps import (
    PatchQuery,
    cls_attention_maps,
    draw_heatmap,
    draw_patch_outline,
    patch_attention_maps,
)
from tc_clip_pl.visualization.context_sources import draw_context_tokens, draw_seed_tokens, most_persistent_token
from tc_clip_pl.visualization.frames import to_images, upscale

FRAMES, SEEDS, CONTEXT = "frames", "seed tokens", "context tokens"
CLS, PATCH, BESIDE = "[CLS] attention", "patch attention", "[CLS], frame-wise"


def draw_inside(
    pixels: Tensor,
    output: TCCLIPOutput,
    layer: int | None = None,
    query: PatchQuery | None = None,
    beside: TCCLIPOutput | None = None,
) -> dict[str, np.ndarray]:
    """Draw what a model sees in a video.

    Args:
        pixels: (T, 3, H, W) uint8, before normalization.
        output: Of the model for this video alone, with sources and attentions.
        layer: Layer of the vision encoder, counted from 0; by default the last one that makes context tokens, which
            without video-conditional prompting is not the last one of all, or the last one if there are none.
        query: A patch, whose attention is carried back to the source patches of the context tokens (Fig. 11).
        beside: Of a frame-wise model, with attentions.

    Returns:
        (T, H', W', 3) frames in 0..1 by the name of their row: the frames, [CLS] attention, and, as far as the layer
        has context tokens, seeds and context tokens with the most persistent one in red; further the rows of `query`
        and `beside`.

    Raises:
        ValueError: If there is no such layer, or the query lies outside the video.
    """
    layer = choose_layer(layer, output)
    images = upscale(to_images(pixels))
    attention = output.attentions[layer][0]  # (T, H, N, N + K)
    rows = {FRAMES: images}
    if output.sources is not None and output.sources[layer] is not None:
        sources = output.sources[layer][0]  # (K, T * P)
        rows[SEEDS] = draw_seed_tokens(images, sources)
        rows[CONTEXT] = draw_context_tokens(images, sources, most_persistent_token(sources, len(images)))
    rows[CLS] = draw_heatmap(images, cls_attention_maps(attention))
    if query is not None:
        rows[PATCH] = _draw_query(images, output, layer, query)
    if beside is not None:
        rows[BESIDE] = draw_heatmap(images, cls_attention_maps(beside.attentions[layer][0]))
    return rows


def choose_layer(layer: int | None, output: TCCLIPOutput) -> int:
    """Return a layer counted from 0; None stands for the last one with context tokens, if there is any.

    Raises:
        ValueError: If there is no such layer.
    """
    last = len(output.attentions) - 1
    if layer is None:
        sources = output.sources or ()
        return max((n for n, each in enumerate(sources) if each is not None), default=last)
    if not 0 <= layer <= last:
        raise ValueError(f"There is no layer {layer}: the vision encoder has 0 to {last}.")
    return layer


def _draw_query(images: np.ndarray, output: TCCLIPOutput, layer: int, query: PatchQuery) -> np.ndarray:
    attention = output.attentions[layer][0]
    has_context = attention.shape[3] > attention.shape[2]
    # The context tokens that a layer attends to come from the layer before it.
    maps = patch_attention_maps(attention, query, output.sources[layer - 1][0] if has_context else None)
    side = maps.shape[1]
    return draw_patch_outline(draw_heatmap(images, maps, per_frame=False), query, side)
