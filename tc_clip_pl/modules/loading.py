"""Reading a configuration, weights and a tokenizer from a folder or the hub, with errors that say what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import CONFIG_NAME, cached_file

from tc_clip_pl.modules.backbone import BackboneConfig, BackboneModel
from tc_clip_pl.modules.config import TCCLIPConfig


def read_config(name_or_path: str) -> dict[str, Any]:
    """Read the stored configuration of a CLIP or a TC-CLIP.

    Args:
        name_or_path: A folder in Hugging Face's format, or a name on its hub.

    Raises:
        OSError: If there is none, or the hub cannot be reached.
        ValueError: If it belongs to another kind of model.
    """
    try:
        path = cached_file(name_or_path, CONFIG_NAME)
    except OSError as error:
        raise OSError(_explain_missing(name_or_path)) from error
    if path is None:  # transformers' answer for a folder without the file
        raise OSError(_explain_missing(name_or_path))
    stored = json.loads(Path(path).read_text(encoding="utf-8"))
    if stored.get("model_type") not in (BackboneConfig.model_type, TCCLIPConfig.model_type):
        raise ValueError(
            f"{name_or_path} holds a model of type {stored.get('model_type')!r}: give a CLIP with a vision transformer."
        )
    return stored


def load_clip(name_or_path: str) -> BackboneModel:
    """Load a plain CLIP in float32 on the CPU.

    Raises:
        OSError: If there is none, or the hub cannot be reached.
        ValueError: If a weight is missing, left over or of another shape.
    """
    return load_checked(BackboneModel.from_pretrained, name_or_path)


def load_checked(load: Callable[..., Any], name_or_path: str, **kwargs: Any) -> Any:
    """Call a ``from_pretrained`` and refuse weights that do not fit.

    Args:
        load: The method, of any class of transformers.
        name_or_path: A folder or a name on the hub.
        **kwargs: Further arguments of the method.

    Returns:
        The model, in float32.

    Raises:
        OSError: If there is no such model, or the hub cannot be reached.
        ValueError: If a weight is missing, left over or of another shape.
    """
    try:
        model, info = load(name_or_path, dtype=torch.float32, output_loading_info=True, **kwargs)
    except OSError as error:
        raise OSError(_explain_missing(name_or_path)) from error
    except RuntimeError as error:
        raise ValueError(f"The weights in {name_or_path} do not fit its configuration: {error}") from error
    # transformers would only log these and go on with random weights.
    wrong = [
        f"{kind.split('_')[0]} {key}" for kind in ("missing_keys", "unexpected_keys") for key in sorted(info[kind])
    ]
    if wrong:
        raise ValueError(f"The weights in {name_or_path} do not match its configuration: {', '.join(wrong[:5])}.")
    return model


def load_tokenizer(name_or_path: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer stored next to the weights.

    Raises:
        OSError: If there is none.
    """
    try:
        return AutoTokenizer.from_pretrained(name_or_path)
    except (OSError, ValueError) as error:
        raise OSError(f"{name_or_path} has no tokenizer: add tokenizer.json, or vocab.json and merges.txt.") from error


def _explain_missing(name_or_path: str) -> str:
    if Path(name_or_path).is_dir():
        return f"The folder {name_or_path} does not hold a CLIP: config.json and model.safetensors are needed."
    return (
        f"{name_or_path!r} is not a local folder, and the Hugging Face hub did not provide it (no network, or no such "
        "name): give a local folder with CLIP's config.json, model.safetensors and tokenizer files."
    )
