"""The whole CLIP: its configuration, its parts and its weights. The package says what another backbone must provide."""

from collections.abc import Mapping

from torch import Tensor
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig

BackboneConfig = CLIPConfig
BackboneModel = CLIPModel
TextConfig = CLIPTextConfig

# Encoder -> the submodules of `BackboneModel` that make it up.
ENCODER_PARTS = {
    "vision": ("vision_model", "visual_projection"),
    "text": ("text_model", "text_projection"),
}
POSITION_TABLE = "vision_model.embeddings.position_embedding.weight"


def expand_state_dict(state_dict: Mapping[str, Tensor], position_tables: int) -> dict[str, Tensor]:
    """Repeat the vision position table of pretrained weights.

    Args:
        state_dict: Weights of a `BackboneModel`.
        position_tables: Number of copies: T for a joint positional embedding, 1 for one that all frames share.

    Returns:
        The same weights, with a position table of ``position_tables`` * N rows.
    """
    return {**state_dict, POSITION_TABLE: state_dict[POSITION_TABLE].repeat(position_tables, 1)}
