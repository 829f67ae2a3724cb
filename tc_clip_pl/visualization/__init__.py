"""Figures of what the model attends to, for one video and one layer at a time.

`draw_*` functions take and return frames, (T, H, W, 3) arrays in 0..1; `plot_*` functions return a matplotlib figure.
"""

from tc_clip_pl.visualization.attention_maps import (
    PatchQuery,
    cls_attention_maps,
    draw_heatmap,
    draw_patch_outline,
    heatmap_range,
    patch_attention_maps,
)
from tc_clip_pl.visualization.context_sources import (
    draw_context_tokens,
    draw_seed_tokens,
    map_context_tokens,
    most_persistent_token,
)
from tc_clip_pl.visualization.frames import join_frames, plot_frames, to_images, upscale
from tc_clip_pl.visualization.predictions import plot_prediction

__all__ = [
    "PatchQuery",
    "cls_attention_maps",
    "draw_context_tokens",
    "draw_heatmap",
    "draw_patch_outline",
    "draw_seed_tokens",
    "heatmap_range",
    "join_frames",
    "map_context_tokens",
    "most_persistent_token",
    "patch_attention_maps",
    "plot_frames",
    "plot_prediction",
    "to_images",
    "upscale",
]
