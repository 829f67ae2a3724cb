"""Builds the whole module from plain values, as a configuration file gives them."""

import inspect
import re
from collections.abc import Sequence
from dataclasses import asdict, field, make_dataclass
from pathlib import Path
from typing import Any, Literal

from tc_clip_pl.modules.backbone.interface import BackboneConfig
from tc_clip_pl.modules.config import NAMED_CHOICES, TCCLIPConfig
from tc_clip_pl.modules.loading import read_config
from tc_clip_pl.modules.names import locate
from tc_clip_pl.modules.systems import find_system
from tc_clip_pl.modules.video_clip import other_system
from tc_clip_pl.training.checkpoint import check_settings, load_model, load_weights, read_facts
from tc_clip_pl.training.module import TCCLIPModule

TC_CLIP = TCCLIPConfig.model_type
READ_FROM_PRETRAINED = ("prompt_token_ids",)
"""Fields of `TCCLIPConfig` that loading fills in, besides those of `VideoCLIPConfig`: not for users to set."""


def derive_options(config_class: type = TCCLIPConfig) -> type:
    """Make a dataclass of the choices and numbers of a configuration, each optional (None by default).

    A new field there, with a line in the docstring, becomes an option of the command line without a change here.
    """
    types = inspect.get_annotations(config_class, eval_str=True)  # its own fields, without those of CLIP
    options = [
        (name, kind | None, field(default=None)) for name, kind in types.items() if name not in READ_FROM_PRETRAINED
    ]
    namespace = {"__doc__": _list_choices(config_class.__doc__), "__module__": __name__}
    return make_dataclass("ModelOptions", options, namespace=namespace, frozen=True)


def _list_choices(docstring: str) -> str:
    """Spell the choices out in the docstring, from which the command line takes its help texts."""
    for option, registry in NAMED_CHOICES.items():
        names = ", ".join(registry)
        docstring = re.sub(rf"(?s)(\n +{option}: .*?), a name in `\w+`", rf"\1: {names}", docstring, count=1)
    return docstring


ModelOptions = derive_options()
"""Choices and numbers of a model to change; None keeps those of the pretrained model, or the paper's."""

AS_PRETRAINED = ModelOptions()


def read_image_size(pretrained: str) -> int:
    """Return the side, in pixels, of the square frames that a pretrained model or a checkpoint takes.

    Raises:
        OSError: If the model does not exist, or the hub cannot be reached.
        ValueError: If it is not a CLIP.
    """
    stored = read_facts(pretrained).model if Path(locate(pretrained)).is_file() else read_config(pretrained)
    stored = {**stored, "model_type": BackboneConfig.model_type}
    return BackboneConfig.from_dict(stored).vision_config.image_size


def build_module(
    pretrained: str,
    config: ModelOptions = AS_PRETRAINED,
    system: str = TC_CLIP,
    options: dict[str, Any] | None = None,
    init_from: str | None = None,
    freeze: Sequence[Literal["vision", "text"]] = (),
    **recipe: Any,
) -> TCCLIPModule:
    """Load a model and build the module that trains it.

    Args:
        pretrained: A folder with a CLIP or a saved TC-CLIP in Hugging Face's format, a name on its hub, "world" for the
            CLIP of the generated world that comes with this package, or a checkpoint of `tcclip fit`, which brings its
            own configuration.
        config: Choices and numbers of a TC-CLIP to change; those of a checkpoint stay as they are.
        system: Which system to train, a name in `SYSTEMS` or the import path of a `VideoCLIP`.
        options: Choices and numbers of another system than TC-CLIP to change, by their name in its configuration.
        init_from: A checkpoint of `tcclip fit` whose weights training starts from (Appendix A). Weight ensembling
            still interpolates with the CLIP of `pretrained`.
        freeze: Encoders whose own weights are not trained: vision, text or both.
        **recipe: Further arguments of `TCCLIPModule`.

    Raises:
        OSError: If the model or checkpoint does not exist, or the hub cannot be reached.
        ValueError: If its weights do not fit, or the system or an option contradicts a checkpoint.
    """
    changes = {name: value for name, value in asdict(config).items() if value is not None}
    if system != TC_CLIP and changes:
        raise ValueError(
            f"model.config has {next(iter(changes))}, an option of TC-CLIP; what the system {system} takes is set by "
            "model.options."
        )
    if system == TC_CLIP and options:
        raise ValueError(f"model.options has {next(iter(options))}; TC-CLIP is configured by model.config.")
    changes |= options or {}
    is_checkpoint = Path(locate(pretrained)).is_file()
    if is_checkpoint:
        facts, kind = read_facts(pretrained), find_system(system).config_class.model_type
        if facts.model["model_type"] != kind:
            raise ValueError(other_system(pretrained, facts.model["model_type"], kind))
        model = load_model(pretrained)
        given_anew = {name: changes.pop(name) for name in model.config.replaceable if name in changes}
        check_settings(changes, facts, "model.config" if system == TC_CLIP else "model.options")
        model.config.update(given_anew)
    else:
        model = find_system(system).from_pretrained(pretrained, **changes)
    if init_from is not None:
        load_weights(model, init_from)
    model.freeze(freeze)
    return TCCLIPModule(model, **recipe)
