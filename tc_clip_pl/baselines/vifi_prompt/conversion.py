"""The names of published weights of ViFi-CLIP with prompts."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from tc_clip_pl.baselines.vifi_prompt.config import ViFiPromptConfig
from tc_clip_pl.baselines.vifi_prompt.model import ViFiPrompt
from tc_clip_pl.checkpoints import official
from tc_clip_pl.checkpoints.openai import rename_openai

# Published name of the vectors of a layer, counted from 0 -> our parameter, which has those of all layers.
NAMES = {
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
    clip = {}
    for name, value in rename_openai(published).items():
        found = ((re.fullmatch(pattern, name), ours) for pattern, ours in NAMES.items())
        match, ours = next(((match, ours) for match, ours in found if match), (None, None))
        if match is None:
            clip[name] = value
        else:
            layers.setdefault(ours, {})[int(match.group(1)) if match.groups() else 0] = value
    converted = official.convert_state_dict(clip) | {name: _stack(name, each) for name, each in layers.items()}
    if token_embedding is not None:
        converted[official.TOKEN_EMBEDDING] = token_embedding
    _check(converted, config)
    return converted


def _stack(name: str, layers: Mapping[int, Tensor]) -> Tensor:
    """Return the (n, D) vectors of layers 0 to J - 1 as (J, n, D)."""
    if missing := sorted(set(range(max(layers) + 1)) - layers.keys()):
        raise ValueError(f"The checkpoint has {name} of deeper layers, but none of layer {missing[0]}.")
    return torch.stack([layers[number] for number in range(len(layers))])


def _check(converted: Mapping[str, Tensor], config: ViFiPromptConfig) -> None:
    with torch.device("meta"):
        expected = ViFiPrompt(config).state_dict()
    title = ViFiPrompt.title
    if missing := sorted(expected.keys() - converted.keys()):
        raise ValueError(
            f"The checkpoint lacks {official.list_names('needed', missing)}: pass a whole checkpoint of {title}."
        )
    if extra := sorted(converted.keys() - expected.keys()):
        raise ValueError(
            f"The checkpoint has {official.list_names('superfluous', extra)}: pass one of {title} on this CLIP."
        )
    for name, tensor in converted.items():
        if tensor.shape != expected[name].shape:
            raise ValueError(
                f"The checkpoint has {name} of shape {tuple(tensor.shape)}, and this configuration wants "
                f"{tuple(expected[name].shape)}: set the numbers that it was trained with."
            )
