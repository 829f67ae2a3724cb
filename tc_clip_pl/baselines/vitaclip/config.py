"""The choices of Vita-CLIP, next to those of the backbone."""

from typing import Literal

from tc_clip_pl.baselines.video_shape import check_same_frames
from tc_clip_pl.modules.video_clip_config import VideoCLIPConfig


class VitaCLIPConfig(VideoCLIPConfig):
    """The backbone's configuration with the choices of Vita-CLIP; the defaults are those of its released training.

    Args:
        num_frames: T, frames of a view: the only number that the model takes.
        num_global_prompts: G, learned tokens of a vision layer that are the same for all videos; 0 for none.
        local_prompts: Whether each layer has a token for every frame of the video, seen by all of its frames.
        summary: Whether each frame sees a token in which the frames of the video have attended to each other.
        train_cls_proj: Whether the layers that make local and summary tokens of [CLS] are trained. In the released
            training they are not, by oversight, and keep their random start.
        text_vectors: "per_class" learns vectors for each class, "shared" the same ones for all, for unseen ones too.
        num_text_vectors: M, learned vectors before a class name.
        trained_classes: Names of the classes that "per_class" vectors belong to, in their order; training fills them
            in.

    Raises:
        ValueError: If a number is out of range, a choice unknown, or an option is set that nothing reads.
    """

    model_type = "vitaclip"

    num_frames: int = 16
    num_global_prompts: int = 8
    local_prompts: bool = True
    summary: bool = True
    train_cls_proj: bool = False
    text_vectors: Literal["per_class", "shared"] = "per_class"
    num_text_vectors: int = 8
    trained_classes: list[str] | tuple[str, ...] | None = None

    def __post_init__(self, **kwargs: object) -> None:
        super().__post_init__(**kwargs)
        for option, least in (("num_frames", 1), ("num_global_prompts", 0), ("num_text_vectors", 1)):
            if getattr(self, option) < least:
                raise ValueError(f"{option} is {getattr(self, option)}: give a whole number of at least {least}.")
        if self.text_vectors not in ("per_class", "shared"):
            raise ValueError(f"text_vectors is {self.text_vectors!r}: choose per_class or shared.")
        if self.train_cls_proj and not self.projects_cls:
            raise ValueError("train_cls_proj would be ignored: only local_prompts and summary have such layers.")
        if self.trained_classes is not None and self.text_vectors == "shared":
            raise ValueError("trained_classes would be ignored: shared text vectors belong to no classes.")
        room = self.text_config.max_position_embeddings
        if self.num_text_vectors > room - 4:  # SOS, one token of a name, the full stop and EOS
            raise ValueError(
                f"num_text_vectors={self.num_text_vectors} leaves no room for a class name in the text encoder's "
                f"{room} tokens: use fewer vectors."
            )

    @property
    def projects_cls(self) -> bool:
        """Whether the layers make tokens of their [CLS] tokens."""
        return self.local_prompts or self.summary

    def check_num_frames(self, num_frames: int) -> None:
        """Raise a ValueError if videos of ``num_frames`` frames cannot be encoded."""
        check_same_frames(self, num_frames, "Vita-CLIP")
