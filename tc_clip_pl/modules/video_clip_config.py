"""What the configuration of every system records about its CLIP."""

import difflib
import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, get_args, get_origin

from huggingface_hub.dataclasses import type_validator

from tc_clip_pl.modules.backbone.interface import BackboneConfig


class VideoCLIPConfig(BackboneConfig):
    """The backbone's configuration, and where its weights came from; loading and converting fill these in.

    Args:
        clip_name_or_path: The CLIP that the model was made from, which weight-space ensembling reads again.
        clip_sha256: `hash_weights` of that CLIP, which tells it from another one of the same shape.
        ensemble_weight: The share w of the fine-tuned weights that `tcclip convert` ensembled CLIP's with (Sec. 4.1);
            None where the weights are the fine-tuned ones alone.

    Attributes:
        replaceable: Options that a trained model may be given anew, such as files that describe other classes.
    """

    replaceable: ClassVar[tuple[str, ...]] = ()

    clip_name_or_path: str | None = None
    clip_sha256: str | None = None
    ensemble_weight: float | None = None

    @classmethod
    def own_options(cls) -> dict[str, Any]:
        """Return the type of each option that neither the backbone nor this class has, by name."""
        classes = [kind for kind in reversed(cls.mro()) if issubclass(kind, VideoCLIPConfig)][1:]
        types = {name: of for kind in classes for name, of in inspect.get_annotations(kind, eval_str=True).items()}
        return {name: of for name, of in types.items() if get_origin(of) is not ClassVar}

    @classmethod
    def check_options(cls, given: Mapping[str, Any], title: str) -> None:
        """Refuse options that a system does not have, and values of another type.

        Args:
            given: Option -> value.
            title: Name of the system.

        Raises:
            ValueError: Naming the first one.
        """
        own = cls.own_options()
        if unknown := sorted(given.keys() - cls().to_dict().keys()):
            near = difflib.get_close_matches(unknown[0], own, n=1)
            advice = f"; did you mean {near[0]}?" if near else f": it has {', '.join(own)}."
            raise ValueError(f"{title} has no option {unknown[0]}{advice}")
        for name, value in given.items():
            kind = own.get(name)
            if not all(type(part) is type for part in get_args(kind) or (kind,)):  # lists, choices: checked where read
                continue
            try:
                type_validator(name, float(value) if kind is float and type(value) is int else value, kind)
            except TypeError as error:
                takes = kind.__name__ if isinstance(kind, type) else str(kind).replace(" | ", " or ")
                raise ValueError(f"{name} of {title} takes {takes}, not {value!r}.") from error

    def check_num_frames(self, num_frames: int) -> None:
        """Raise a ValueError if videos of ``num_frames`` frames cannot be encoded; by default all can."""
