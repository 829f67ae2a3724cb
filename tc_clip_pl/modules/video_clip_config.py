"""What the configuration of every system records about its CLIP."""

from typing import ClassVar

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

    def check_num_frames(self, num_frames: int) -> None:
        """Raise a ValueError if videos of ``num_frames`` frames cannot be encoded; by default all can."""
