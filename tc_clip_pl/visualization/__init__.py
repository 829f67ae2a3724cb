"""Pictures of what the model looks at: tensors of one video in, arrays of pictures or a matplotlib figure out."""

from tc_clip_pl.visualization.attention_maps import (
    PatchQuery,
    cls_attention_maps,
    outline_patch,
    overlay_heat,
    patch_attention_maps,
)
from tc_clip_pl.visualization.context_sources import draw_context_tokens, draw_seeds, most_persistent_token, token_map
from tc_clip_pl.visualization.frames import denormalize, enlarge, frames_grid
from tc_clip_pl.visualization.predictions import draw_prediction

__all__ = [
    "PatchQuery",
    "cls_attention_maps",
    "denormalize",
    "draw_context_tokens",
    "draw_prediction",
    "draw_seeds",
    "enlarge",
    "frames_grid",
    "most_persistent_token",
    "outline_patch",
    "overlay_heat",
    "patch_attention_maps",
    "token_map",
]
