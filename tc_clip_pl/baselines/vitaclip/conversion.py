"""The names and layouts of published Vita-CLIP weights."""

from collections.abc import Mapping

import torch
from torch import Tensor

from tc_clip_pl.baselines.conversion import convert_published, split_names
from tc_clip_pl.baselines.vitaclip.config import VitaCLIPConfig
from tc_clip_pl.baselines.vitaclip.model import VitaCLIP
from tc_clip_pl.modules.backbone.interface import POSITION_TABLE

BLOCK, LAYER = r"visual\.blocks\.(\d+)", r"vision_model.encoder.layers.\1"
GLOBAL_PROMPTS, PATCH_BIAS = "global_prompts", "patch_bias"  # of all layers; of a convolution that CLIP has without
PROJECTION, VECTORS = "visual_projection.weight", "text_vectors"
# Pattern of a published name -> our name.
NAMES = {
    r"logit_scale": "logit_scale",
    r"prompt_learner\.ctx": VECTORS,
    r"visual\.cls_token": "vision_model.embeddings.class_embedding",
    r"visual\.pos_embed": POSITION_TABLE,
    r"visual\.time_embed": "vision_model.embeddings.time_embedding",
    r"visual\.patch_embed\.proj\.weight": "vision_model.embeddings.patch_embedding.weight",
    r"visual\.patch_embed\.proj\.bias": PATCH_BIAS,
    r"visual\.global_prompts": GLOBAL_PROMPTS,
    r"visual\.ln_pre\.(\w+)": r"vision_model.pre_layrnorm.\1",
    r"visual\.ln_post\.(\w+)": r"vision_model.post_layernorm.\1",
    r"visual\.proj": PROJECTION,
    rf"{BLOCK}\.attn\.(.+)": rf"{LAYER}.self_attn.\2",
    rf"{BLOCK}\.norm([12])\.(\w+)": rf"{LAYER}.layer_norm\2.\3",
    rf"{BLOCK}\.mlp\.(.+)": rf"{LAYER}.mlp.\2",
    rf"{BLOCK}\.cls_proj\.(\w+)": rf"{LAYER}.prompts.cls_proj.\2",
    rf"{BLOCK}\.local_prompts": rf"{LAYER}.prompts.local_prompts",
    rf"{BLOCK}\.summary_ln\.(\w+)": rf"{LAYER}.prompts.summary_norm.\2",
    rf"{BLOCK}\.summary_attn_layer\.(.+)": rf"{LAYER}.prompts.summary_attn.\2",
}
CLIP_PREFIX = "textual."


def convert_vitaclip(published: Mapping[str, Tensor], config: VitaCLIPConfig) -> dict[str, Tensor]:
    """Convert published weights to the state dict of a `VitaCLIP`.

    Args:
        published: Weights under their published names, with or without the prefix ``module.``.
        config: Configuration of the model that will hold them, with the `trained_classes` of vectors per class.

    Raises:
        ValueError: If a name is unknown, or a weight is missing, superfluous or of another shape.
    """
    own, text = split_names(published, NAMES, CLIP_PREFIX)
    _check_vectors(own.get(VECTORS), config)
    stacked, patch_bias = own.pop(GLOBAL_PROMPTS, ()), own.pop(PATCH_BIAS, None)
    own = {name: _arrange(name, value) for name, value in own.items()}
    own |= {
        f"vision_model.encoder.layers.{layer}.prompts.{GLOBAL_PROMPTS}": value for layer, value in enumerate(stacked)
    }
    if patch_bias is not None and POSITION_TABLE in own:
        own[POSITION_TABLE] = _fold_bias(own[POSITION_TABLE], patch_bias)
    with torch.device("meta"):
        expected = VitaCLIP(config).state_dict()
    return convert_published(text, {}, expected, VitaCLIP.title, renamed=own)


def _check_vectors(vectors: Tensor | None, config: VitaCLIPConfig) -> None:
    """Say which option fits the vectors, since the names of their classes are not in the checkpoint."""
    if vectors is None or config.text_vectors == "shared" or config.trained_classes is not None:
        return
    if vectors.dim() == 2:
        raise ValueError(
            "The checkpoint has text vectors for all classes alike: set the option text_vectors to shared."
        )
    raise ValueError(
        f"The checkpoint has text vectors of {len(vectors)} classes: name them in their order by the option "
        "trained_classes."
    )


def _arrange(name: str, value: Tensor) -> Tensor:
    if name == PROJECTION:
        return value.T  # published for x @ proj, while nn.Linear computes x @ weight.T
    return value.squeeze(0) if name.endswith(".local_prompts") else value  # (1, T, D)


def _fold_bias(positions: Tensor, patch_bias: Tensor) -> Tensor:
    """Add the bias of the patch convolution, which CLIP does not have, to the positions of the patches: the same."""
    return torch.cat((positions[:1], positions[1:] + patch_bias))
