"""The names in published X-CLIP checkpoints."""

from collections.abc import Mapping

from torch import Tensor

from tc_clip_pl.baselines.conversion import convert_published
from tc_clip_pl.baselines.xclip.model import XCLIP

LAYER, MIT_LAYER = r"image_encoder\.transformer\.resblocks\.(\d+)", r"mit\.resblocks\.(\d+)"
KEYS = {
    rf"{LAYER}\.message_(fc|ln|attn)\.(.+)": r"vision_model.encoder.layers.\1.message_\2.\3",
    r"mit\.positional_embedding": "mit.position_embedding",
    rf"{MIT_LAYER}\.attn\.(.+)": r"mit.encoder.layers.\1.self_attn.\2",
    rf"{MIT_LAYER}\.ln_([12])\.(\w+)": r"mit.encoder.layers.\1.layer_norm\2.\3",
    rf"{MIT_LAYER}\.mlp\.c_fc\.(\w+)": r"mit.encoder.layers.\1.mlp.fc1.\2",
    rf"{MIT_LAYER}\.mlp\.c_proj\.(\w+)": r"mit.encoder.layers.\1.mlp.fc2.\2",
    r"prompts_visual_ln\.(\w+)": r"prompts_visual_layernorm.\1",
    r"prompts_visual_proj": "prompts_visual_projection",
    r"prompts_generator\.norm\.(\w+)": r"prompts_generator.layernorm.\1",
    r"prompts_generator\.(alpha|decoder\..+)": r"prompts_generator.\1",
}


def convert_state_dict(published: Mapping[str, Tensor], model: XCLIP) -> dict[str, Tensor]:
    """Convert published weights for a model of the same sizes.

    Raises:
        ValueError: If a name is unknown, or a weight is missing, left over or of another shape.
    """
    return convert_published(published, KEYS, model.state_dict(), model.title)
