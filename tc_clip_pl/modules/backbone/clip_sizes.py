"""Sizes of the CLIPs that OpenAI published, so that a model can be described without its files."""

from typing import Any

from transformers import CLIPTextConfig, CLIPVisionConfig

_BASE = {"vision": {}, "text": {}, "projection_dim": 512}  # Hugging Face's defaults are those of the base models
_LARGE = {
    "vision": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
    "text": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
    "projection_dim": 768,
}
# Hub name -> encoder sizes, patch size and image size in pixels.
CLIP_SIZES: dict[str, tuple[dict[str, Any], int, int]] = {
    "openai/clip-vit-base-patch32": (_BASE, 32, 224),
    "openai/clip-vit-base-patch16": (_BASE, 16, 224),
    "openai/clip-vit-large-patch14": (_LARGE, 14, 224),
    "openai/clip-vit-large-patch14-336": (_LARGE, 14, 336),
}


def backbone_options(name: str) -> dict[str, Any]:
    """Build the arguments of a `BackboneConfig` (and so of a `TCCLIPConfig`) for a published CLIP.

    Args:
        name: A hub name in `CLIP_SIZES`.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in CLIP_SIZES:
        raise ValueError(f"The sizes of {name!r} are unknown: give a folder, or one of {', '.join(CLIP_SIZES)}.")
    sizes, patch_size, image_size = CLIP_SIZES[name]
    width = {"projection_dim": sizes["projection_dim"]}
    return {
        "vision_config": CLIPVisionConfig(**sizes["vision"], **width, patch_size=patch_size, image_size=image_size),
        "text_config": CLIPTextConfig(**sizes["text"], **width),
        **width,
    }
