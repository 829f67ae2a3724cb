"""The names of published weights of ViFi-CLIP with prompts."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from tc_clip_pl.baselines.conversion import convert_published
from tc_clip_pl.baselines.vifi_prompt.config import ViFiPromptConfig
from tc_clip_pl.baselines.vifi_prompt.model import ViFiPrompt
from tc_clip_pl.checkpoints.official import TOKEN_EMBEDDING
from tc_clip_pl.checkpoints.openai import rename_openai

# Published name of the vectors of a layer, counted from 0 -> our parameter, which has those of all layers.
VECTORS = {
    r"image_encoder\.VPT": "vision_prompts",
    r"image_encoder\.transformer\.resblocks\.(\d+)\.VPT_shallow": "vision_prompts",
    r"prompt_learner\.ctx": "text_prompts",
    r"text_encoder\.transformer\.resblocks\.(\d+)\.VPT_shallow": "text_prompts",
}


def convert_state_dict(
    published: Mapping[str, Tensor], config: ViFiPromptConfig, token_embedding: Tensor | None = None
) -> dict[str, Tensor]:
    """Convert published names and layouts to the state dict of a `ViFiPrompt`.

    Args:
        published: Weights under their published names, with or without the prefix ``module.``.
        config: Configuration of the model that will hold them.
        token_embedding: (vocabulary size, d), from the CLIP that was fine-tuned, if ``published`` has none.

    Raises:
        ValueError: If a name is unknown, or a weight is missing, left over or of another shape.
    """
    layers: dict[str, dict[int, Tensor]] = {}
    others = {}
    for name, value in rename_openai(published).items():
        found = ((re.fullmatch(pattern, name), ours) for pattern, ours in VECTORS.items())
        match, ours = next(((match, ours) for match, ours in found if match), (None, None))
        if match is None:
            others[name] = value
        else:
            layers.setdefault(ours, {})[int(match.group(1)) if match.groups() else 0] = value
    renamed = {name: _stack(name, each) for name, each in layers.items()}
    if token_embedding is not None and "token_embedding.weight" not in others:
        renamed[TOKEN_EMBEDDING] = token_embedding
    with torch.device("meta"):
        expected = ViFiPrompt(config).state_dict()
    return convert_published(others, {}, expected, ViFiPrompt.title, renamed)


def _stack(name: str, layers: Mapping[int, Tensor]) -> Tensor:
    """Return the (n, D) vectors of layers 0 to J - 1 as (J, n, D)."""
    if missing := sorted(set(range(max(layers) + 1)) - layers.keys()):
        raise ValueError(f"The checkpoint has {name} of deeper layers, but none of layer {missing[0]}.")
    return torch.stack([layers[number] for number in range(len(layers))])
