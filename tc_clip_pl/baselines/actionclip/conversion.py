"""The names in published ActionCLIP checkpoints."""

import re
from collections.abc import Mapping

from torch import Tensor

from tc_clip_pl.baselines.actionclip.model import ActionCLIP
from tc_clip_pl.baselines.conversion import convert_published

LAYER = r"transformer\.resblocks\.(\d+)"
# Of a head, in the file's `fusion_model_state_dict`.
HEAD_KEYS = {
    r"frame_position_embeddings\.weight": "head.position_embedding.weight",
    rf"{LAYER}\.attn\.(.+)": r"head.layers.\1.self_attn.\2",
    rf"{LAYER}\.ln_([12])\.(\w+)": r"head.layers.\1.layer_norm\2.\3",
    rf"{LAYER}\.mlp\.c_fc\.(\w+)": r"head.layers.\1.mlp.fc1.\2",
    rf"{LAYER}\.mlp\.c_proj\.(\w+)": r"head.layers.\1.mlp.fc2.\2",
    r"lstm_visual\.(\w+)": r"head.lstm.\1",
    r"shift\.weight": "head.shift.weight",
    r"transformer\.cls_token": "head.cls_token",
    r"transformer\.pos_embed": "head.position_embedding",
}
KEYS = {rf"fusion\.{pattern}": target for pattern, target in HEAD_KEYS.items()}
PACKED = "transformer.transformer_enc."
"""Before the names of the layers of Transf_cls, PyTorch's own, which keep query, key and value in one."""
UNREAD = "frame_position_embeddings.weight"
"""A table that every published head but meanP has, and Transf alone reads."""


def convert_state_dict(clip: Mapping[str, Tensor], head: Mapping[str, Tensor], model: ActionCLIP) -> dict[str, Tensor]:
    """Convert published weights for a model of the same sizes and choices.

    Args:
        clip: `model_state_dict` of a published file.
        head: Its `fusion_model_state_dict`; empty for meanP.
        model: Will load them.

    Raises:
        ValueError: If a name is unknown, or a weight is missing, left over or of another shape.
    """
    published = {_without_shift(name): value for name, value in clip.items()}
    unread = () if model.config.head == "Transf" else (UNREAD,)
    renamed = {}
    for name, value in head.items():
        name = name.removeprefix("module.")
        if name.startswith(PACKED):
            renamed[f"head.encoder.{name.removeprefix(PACKED)}"] = value
        elif name not in unread:
            published[f"fusion.{name}"] = value
    return convert_published(published, KEYS, model.state_dict(), model.title, renamed)


def _without_shift(name: str) -> str:
    """Drop the `.net` that the shift puts around the layers of the vision encoder."""
    return re.sub(r"^((module\.)?visual\.transformer\.resblocks\.\d+)\.net\.", r"\1.", name)
