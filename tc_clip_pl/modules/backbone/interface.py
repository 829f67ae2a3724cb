"""What the rest of TC-CLIP asks of its backbone, Hugging Face's CLIP.

Everything that belongs to CLIP itself is in this package: its classes, parameter names, published sizes, vocabulary and
the way its text encoder runs. The other modules import from this file only, never from `transformers.models.clip`.
A second backbone, SigLIP for example, replaces the files `clip_*.py`. It must provide, under the names below:

* Configuration: `BackboneConfig` with `vision_config` and `text_config`, which must define `hidden_size`,
  `num_hidden_layers` and `layer_norm_eps`, the vision part also `image_size` and `patch_size`, the text part
  `eos_token_id` and `max_position_embeddings`; and `backbone_options` for the published sizes.
* The whole model: `BackboneModel` with `vision_model`, `visual_projection`, `text_model`, `text_projection` and
  `logit_scale`; `ENCODER_PARTS` says which of them make up an encoder, `expand_state_dict` adapts pretrained weights.
* Vision: one [CLS] token per frame, ahead of its patches. `VisionEmbeddings.embed_frames` makes both, and
  `VisionModel` normalizes tokens before the first layer and after the last.
* Layers: pre-norm `EncoderLayer` with `layer_norm1`, `self_attn`, `layer_norm2` and `mlp`; `Attention` with
  `{q,k,v,out}_proj`, `num_heads` and `head_dim`; `MLP`; `call_layer`. Both encoders have `encoder.layers`.
* Text: a *causal* encoder that is read at one token, EOS. The text shortcuts (`modules/text_encoder.py`) depend on
  causality; a bidirectional text encoder would need the plain path, one pass per pair of video and class.
  The functions of `clip_text.py` and the tokenized prompt template complete it.
"""

from tc_clip_pl.modules.backbone.clip_layers import MLP, Attention, EncoderLayer, call_layer
from tc_clip_pl.modules.backbone.clip_model import (
    ENCODER_PARTS,
    POSITION_TABLE,
    BackboneConfig,
    BackboneModel,
    TextConfig,
    expand_state_dict,
)
from tc_clip_pl.modules.backbone.clip_sizes import backbone_options
from tc_clip_pl.modules.backbone.clip_text import (
    TEMPLATE_TOKEN_IDS,
    TextModel,
    add_positions,
    find_eos,
    normalize_output,
    project_keys_values,
    project_queries,
    run_layers,
    token_embedding,
)
from tc_clip_pl.modules.backbone.clip_vision import VisionEmbeddings, VisionModel

__all__ = [
    "ENCODER_PARTS",
    "MLP",
    "POSITION_TABLE",
    "TEMPLATE_TOKEN_IDS",
    "Attention",
    "BackboneConfig",
    "BackboneModel",
    "EncoderLayer",
    "TextConfig",
    "TextModel",
    "VisionEmbeddings",
    "VisionModel",
    "add_positions",
    "backbone_options",
    "call_layer",
    "expand_state_dict",
    "find_eos",
    "normalize_output",
    "project_keys_values",
    "project_queries",
    "run_layers",
    "token_embedding",
]
