"""Options of OST, besides those of the frame-wise model that it extends."""

import re
from typing import ClassVar

from tc_clip_pl.baselines.ost.descriptors import SPATIAL_TEXT, TEMPORAL_TEXT
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.text_prompting import PROMPTINGS
from tc_clip_pl.modules.tokenizer import PROMPT_TEMPLATE


class OSTConfig(TCCLIPConfig):
    """TC-CLIP's configuration, frame-wise by default, and the files with the phrases of the classes.

    A file is a JSON of lists, as many phrases for every class, under the class names or under "0", "1", ... in the
    order of the classes. Several files serve several datasets: the first with all classes of a list is used. One whose
    keys are numbers serves lists of as many classes; where that leaves a doubt, "LABELS.csv=FILE" names the classes
    by the file that numbers them (header `id,name`).

    Args:
        spatial_descriptors: File or files with what a frame of a class shows.
        temporal_descriptors: File or files with the steps of a class, as many phrases as the spatial ones.
        spatial_text: The text of a spatial phrase, with {phrase} in its place and, if wanted, {name} for the class.
        temporal_text: The text of a temporal phrase, likewise.
        reference_tokens: As in TC-CLIP: OST itself has "none", and "context" adds Temporal Contextualization to it.
        prompting: As in TC-CLIP, but for ensembles: OST itself has "template". Prompt vectors, as those of
            "video_conditional", take the place of "a photo of a", with which the texts must then begin.

    Raises:
        ValueError: As `TCCLIPConfig`, or if a choice would change or replace the phrases, or a text has no place for
            them.
    """

    model_type = "ost"
    replaceable: ClassVar[tuple[str, ...]] = ("spatial_descriptors", "temporal_descriptors")

    spatial_descriptors: str | list[str] | None = None
    temporal_descriptors: str | list[str] | None = None
    spatial_text: str = SPATIAL_TEXT
    temporal_text: str = TEMPORAL_TEXT
    reference_tokens: str = "none"
    prompting: str = "template"

    def __post_init__(self, **kwargs: object) -> None:
        super().__post_init__(**kwargs)
        if self.frame_pooling != (only := type(self).frame_pooling):
            raise ValueError(f"frame_pooling is {self.frame_pooling!r}, but OST matches phrases: leave it at {only!r}.")
        if hasattr(PROMPTINGS[self.prompting], "class_text"):
            raise ValueError(
                f"prompting {self.prompting!r} has texts of its own, and OST those of phrases: choose another."
            )
        for option in ("spatial_text", "temporal_text"):
            text = getattr(self, option)
            if not re.fullmatch(r"([^{}]|{name})*{phrase}([^{}]|{name})*", text):
                raise ValueError(
                    f"{option} is {text!r}: write {{phrase}} once, and {{name}} where the class name goes."
                )
            if self.has_prompt_vectors and not text.startswith(f"{PROMPT_TEMPLATE} "):
                raise ValueError(
                    f"{option} is {text!r}, and the prompt vectors of {self.prompting!r} take the place of "
                    f"{PROMPT_TEMPLATE!r}: begin it with that."
                )
