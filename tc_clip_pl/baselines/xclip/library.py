"""X-CLIP as transformers saves it, such as microsoft/xclip-base-patch32: the same model under other names."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from transformers import XCLIPConfig as LibraryConfig
from transformers import XCLIPModel

from tc_clip_pl.baselines.xclip.config import XCLIPConfig
from tc_clip_pl.baselines.xclip.parts import library_config
from tc_clip_pl.modules.loading import load_checked

RENAMED = {"vision_model.pre_layernorm.": "vision_model.pre_layrnorm."}  # as transformers misspells it in CLIP
FIXED = ("prompt_layers", "prompt_num_attention_heads", "prompt_hidden_act")
FIXED_VISION = ("mit_num_hidden_layers", "mit_num_attention_heads", "mit_intermediate_size")


def is_library_config(stored: Mapping[str, Any]) -> bool:
    """Return whether a stored configuration is of transformers' `XCLIPModel` rather than ours, of the same type."""
    return "mit_hidden_size" in stored["vision_config"]


def adopt_library_config(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of transformers' `XCLIPModel` as that of our X-CLIP, with its number of frames.

    Raises:
        ValueError: If heads or layers are not those of X-CLIP.
    """
    library, default = LibraryConfig.from_dict(dict(stored)), XCLIPConfig()
    vision, text = library.vision_config.to_dict(), library.text_config.to_dict()
    kept = {
        "vision_config": {name: vision[name] for name in default.vision_config.to_dict() if name in vision},
        "text_config": {name: text[name] for name in default.text_config.to_dict() if name in text},
    }
    for sizes in kept.values():
        del sizes["model_type"]
    ours = {**kept, "projection_dim": library.projection_dim, "num_frames": library.vision_config.num_frames}
    _check_fixed(library, library_config(XCLIPConfig(**ours)))
    return {**ours, "model_type": XCLIPConfig.model_type}


def _check_fixed(library: LibraryConfig, ours: LibraryConfig) -> None:
    """Refuse what the weights would not tell, and our X-CLIP does not have."""
    pairs = [(library, ours, name) for name in FIXED]
    pairs += [(library.vision_config, ours.vision_config, name) for name in FIXED_VISION]
    for found, expected, name in pairs:
        if getattr(found, name) != getattr(expected, name):
            raise ValueError(
                f"This X-CLIP has {name}={getattr(found, name)}, where X-CLIP of its width has "
                f"{getattr(expected, name)}: give one of microsoft's, or of `tcclip fit`."
            )


def load_library_weights(name_or_path: str) -> dict[str, Tensor]:
    """Read the weights of a saved `XCLIPModel` under our names.

    Raises:
        OSError, ValueError: As `load_checked`.
    """
    weights = load_checked(XCLIPModel.from_pretrained, name_or_path).state_dict()
    for old, new in RENAMED.items():
        weights = {name.replace(old, new): value for name, value in weights.items()}
    return weights
