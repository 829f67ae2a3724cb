"""Sizes of the CLIPs that OpenAI published, so that a model can be described without its files."""

from typing import Any

from transformers import CLIPTextConfig, CLIPVisionConfig

_BASE = {"vision": {}, "text": {}, "projection_dim": 512}
_LARGE = {
    "vision": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
    "text": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12},
    "projection_dim": 768,
}
# Hub name -> encoder sizes, patch size, image size.
CLIP_SIZES: dict[str, tuple[dict[str, Any], int, int]] = {
    "openai/clip-vit-base-patch32": (_BASE, 32, 224),
    "openai/clip-vit-base-patch16": (_BASE, 16, 224),
    "openai/clip-vit-large-patch14": (_LARGE, 14, 224),
    "openai/clip-vit-large-patch14-336": (_LARGE, 14, 336),
}


def clip_size_options(name: str) -> dict[str, Any]:
    """Arguments of a `CLIPConfig` (and so of `TCCLIPConfig`) for a published CLIP.

    Raises:
        ValueError: where the name is not in `CLIP_SIZES`.
    """
    if name not in CLIP_SIZES:
        raise ValueError(f"The sizes of {name!r} are not known here: give a folder, or one of {', '.join(CLIP_SIZES)}.")
    sizes, patch_size, image_size = CLIP_SIZES[name]
    width = {"projection_dim": sizes["projection_dim"]}
    return {
        "vision_config": CLIPVisionConfig(**sizes["vision"], **width, patch_size=patch_size, image_size=image_size),
        "text_config": CLIPTextConfig(**sizes["text"], **width),
        **width,
    }
