"""From a folder or a hub name to a TC-CLIP (for `TCCLIP.from_pretrained`)."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import AutoTokenizer, CLIPModel, PreTrainedTokenizerBase
from transformers.utils import CONFIG_NAME, cached_file

from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.tokenizer import tokenize_template

if TYPE_CHECKING:
    from tc_clip_pl.modules.tc_clip import TCCLIP

JOINT_TABLE = "vision_model.embeddings.position_embedding.weight"


def load_tc_clip(
    cls: "type[TCCLIP]", load_saved: Callable[..., Any], name_or_path: str, overrides: Mapping[str, Any]
) -> "TCCLIP":
    """Loads a plain CLIP or a saved TC-CLIP, as `TCCLIP.from_pretrained` says; ``load_saved`` is the parent's."""
    stored = read_config(name_or_path)
    unknown = sorted(set(overrides) - set(TCCLIPConfig().to_dict()))
    if unknown:
        raise ValueError(f"TCCLIPConfig has no {', '.join(unknown)}; see its docstring for the names.")
    tokenizer = load_tokenizer(name_or_path)
    if stored.get("model_type") == TCCLIPConfig.model_type:
        model = load_checked(load_saved, name_or_path, config=TCCLIPConfig.from_dict({**stored, **overrides}))
    else:
        config = TCCLIPConfig.from_dict({**stored, **overrides, "model_type": TCCLIPConfig.model_type})
        config.clip_name_or_path = str(Path(name_or_path).resolve()) if Path(name_or_path).exists() else name_or_path
        config.prompt_token_ids = tokenize_template(tokenizer)
        model = from_clip(cls, load_clip(name_or_path), config)
    model.tokenizer = tokenizer
    return model.eval()


def from_clip(cls: "type[TCCLIP]", clip: CLIPModel, config: TCCLIPConfig) -> "TCCLIP":
    """A TC-CLIP with the weights of a CLIP, its new parameters initialized from it."""
    model = cls(config)
    missing, unexpected = model.load_state_dict(expand_clip_state_dict(clip.state_dict(), config), strict=False)
    if unexpected or set(missing) != model.new_parameter_names():
        wrong = sorted({*unexpected, *(set(missing) ^ model.new_parameter_names())})
        raise ValueError(f"CLIP's weights and the model do not fit together: {', '.join(wrong[:5])}.")
    if config.has_prompt_vectors and config.prompt_init == "template":
        template = model.text_model.embeddings.token_embedding.weight[list(config.prompt_token_ids)]
        model.prompt_learner.initialize_from_template(template)
    if config.reads_vision and config.prompting_init == "clip":
        model.prompt_generation_layer.initialize_from_layer(model.text_model.encoder.layers[-1])
    return model


def expand_clip_state_dict(state_dict: Mapping[str, Tensor], config: TCCLIPConfig) -> dict[str, Tensor]:
    """CLIP's weights with its position table repeated for every frame where the embedding is joint."""
    state_dict = dict(state_dict)
    if config.positional_embedding == "joint":
        state_dict[JOINT_TABLE] = state_dict[JOINT_TABLE].repeat(config.num_frames, 1)
    return state_dict


def load_clip(name_or_path: str) -> CLIPModel:
    """A plain CLIP in float32 on the CPU, with every weight accounted for."""
    return load_checked(CLIPModel.from_pretrained, name_or_path)


def load_checked(load: Callable[..., Any], name_or_path: str, **kwargs: Any) -> Any:
    """Calls a ``from_pretrained`` and fails where a weight is missing, left over or of another shape."""
    try:
        model, info = load(name_or_path, dtype=torch.float32, output_loading_info=True, **kwargs)
    except OSError as error:
        raise OSError(_explain(name_or_path)) from error
    except RuntimeError as error:
        raise ValueError(f"The weights in {name_or_path} do not fit its configuration: {error}") from error
    wrong = [
        f"{kind.split('_')[0]} {key}" for kind in ("missing_keys", "unexpected_keys") for key in sorted(info[kind])
    ]
    if wrong:
        raise ValueError(f"The weights in {name_or_path} are not those of its configuration: {', '.join(wrong[:5])}.")
    return model


def read_config(name_or_path: str) -> dict[str, Any]:
    """The stored configuration, as a dictionary.

    Raises:
        OSError: where there is none to be had.
        ValueError: where it is not of a CLIP.
    """
    try:
        path = cached_file(name_or_path, CONFIG_NAME)
    except OSError as error:
        raise OSError(_explain(name_or_path)) from error
    if path is None:  # transformers' answer for a folder without the file
        raise OSError(_explain(name_or_path))
    stored = json.loads(Path(path).read_text())
    if stored.get("model_type") not in ("clip", TCCLIPConfig.model_type):
        raise ValueError(
            f"{name_or_path} holds a model of type {stored.get('model_type')!r}: give a CLIP with a vision transformer."
        )
    return stored


def load_tokenizer(name_or_path: str) -> PreTrainedTokenizerBase:
    """The tokenizer that lies beside the weights."""
    try:
        return AutoTokenizer.from_pretrained(name_or_path)
    except (OSError, ValueError) as error:
        raise OSError(f"{name_or_path} has no tokenizer (tokenizer.json, or vocab.json and merges.txt).") from error


def _explain(name_or_path: str) -> str:
    if Path(name_or_path).is_dir():
        return f"The folder {name_or_path} does not hold a CLIP: config.json and model.safetensors are needed."
    return (
        f"{name_or_path!r} is not a folder here, and Hugging Face's hub did not give it (no network or no such name): "
        "give a local folder with CLIP's config.json, model.safetensors and tokenizer files."
    )
