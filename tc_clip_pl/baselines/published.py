"""Published checkpoints of the compared systems, loaded onto the CLIP that was fine-tuned; every weight must fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from torch import Tensor

from tc_clip_pl.checkpoints.official import WEIGHT_KEYS
from tc_clip_pl.modules.backbone.interface import token_embedding
from tc_clip_pl.modules.systems import find_system
from tc_clip_pl.modules.video_clip import VideoCLIP

Converter = Callable[[Mapping[str, Any], VideoCLIP], dict[str, Tensor]]
"""From the content of a file and the model that will load it to our state dict."""


def _conversion(system: str) -> Any:
    return import_module(f"tc_clip_pl.baselines.{system}.conversion")


def _weights(content: Mapping[str, Any]) -> Mapping[str, Tensor]:
    holder = next((key for key in WEIGHT_KEYS if key in content), None)
    weights = content if holder is None else content[holder]
    if not isinstance(weights, Mapping):
        raise ValueError(f"The checkpoint has no weights by name under {holder!r}: pass a published one.")
    return weights


def _convert_actionclip(content: Mapping[str, Any], model: VideoCLIP) -> dict[str, Tensor]:
    clip, head = (content.get(f"{part}model_state_dict") or {} for part in ("", "fusion_"))
    if not isinstance(clip, Mapping) or not clip:
        found = ", ".join(map(str, content))
        raise ValueError(
            f"The checkpoint has no weights by name under 'model_state_dict', only {found}: pass a published "
            "ActionCLIP."
        )
    return _conversion("actionclip").convert_state_dict(clip, head, model)


def _convert_vifi_prompt(content: Mapping[str, Any], model: VideoCLIP) -> dict[str, Tensor]:
    table = token_embedding(model.text_model).weight.detach()
    return _conversion("vifi_prompt").convert_state_dict(_weights(content), model.config, table)


CONVERTERS: dict[str, Converter] = {
    "a5": lambda content, model: _conversion("a5").convert_a5(_weights(content), model.config),
    "actionclip": _convert_actionclip,
    "ost": lambda content, model: _conversion("ost").convert_state_dict(_weights(content), model.state_dict()),
    "vifi_prompt": _convert_vifi_prompt,
    "vitaclip": lambda content, model: _conversion("vitaclip").convert_vitaclip(_weights(content), model.config),
    "xclip": lambda content, model: _conversion("xclip").convert_state_dict(_weights(content), model),
}


def load_published(system: str, content: Mapping[str, Any], path: str, clip: str, **options: Any) -> VideoCLIP:
    """Load a published checkpoint.

    Args:
        system: A name in `CONVERTERS`.
        content: What the file holds.
        path: The file, for errors.
        clip: The CLIP that was fine-tuned: a folder in Hugging Face's format, or a name on its hub.
        **options: Options of the system's configuration, which weights do not tell.

    Returns:
        The model, in evaluation mode.

    Raises:
        OSError: If there is no such CLIP.
        ValueError: If the system is unknown, or a weight is unknown, missing or of another shape.
    """
    if system not in CONVERTERS:
        raise ValueError(f"--system is {system!r}: choose one of {', '.join(CONVERTERS)}, or leave it out.")
    if not isinstance(content, Mapping):
        raise ValueError(f"{path} holds no weights by name: pass a published checkpoint of {system}.")
    model = find_system(system).from_pretrained(clip, **options)
    try:
        model.load_state_dict(CONVERTERS[system](content, model))
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit a {model.title} with these options: {error}") from error
    return model.eval()
