"""Options of OST, besides those of the frame-wise model that it extends."""

from typing import ClassVar

from tc_clip_pl.modules.config import TCCLIPConfig


class OSTConfig(TCCLIPConfig):
    """TC-CLIP's configuration, frame-wise by default, and the files with the phrases of the classes.

    A file is a JSON of lists, as many phrases for every class, under the class names or under "0", "1", ... in the
    order of the classes. Several files serve several datasets: the first with all classes of a list is used. One whose
    keys are numbers serves lists of as many classes; where that leaves a doubt, "LABELS.csv=FILE" names the classes
    by the file that numbers them (header `id,name`).

    Args:
        spatial_descriptors: File or files with what a frame of a class shows.
        temporal_descriptors: File or files with the steps of a class, as many phrases as the spatial ones.
        reference_tokens: As in TC-CLIP: OST itself has "none", and "context" adds Temporal Contextualization to it.
        prompting: Always "template": the phrases are texts of their own.

    Raises:
        ValueError: As `TCCLIPConfig`, or if a choice would change or replace the phrases.
    """

    model_type = "ost"
    replaceable: ClassVar[tuple[str, ...]] = ("spatial_descriptors", "temporal_descriptors")

    spatial_descriptors: str | list[str] | None = None
    temporal_descriptors: str | list[str] | None = None
    reference_tokens: str = "none"
    prompting: str = "template"

    def __post_init__(self, **kwargs: object) -> None:
        super().__post_init__(**kwargs)
        for option in ("prompting", "frame_pooling"):
            if (value := getattr(self, option)) != (only := getattr(type(self), option)):
                raise ValueError(f"{option} is {value!r}, but OST matches phrases itself: leave it at {only!r}.")
