"""The choices of ActionCLIP."""

from tc_clip_pl.baselines.actionclip.heads import HEADS, MOST_FRAMES
from tc_clip_pl.baselines.actionclip.templates import TEMPLATES
from tc_clip_pl.baselines.video_shape import check_same_frames
from tc_clip_pl.modules.video_clip_config import VideoCLIPConfig

HEAD_WIDTH = 64


class ActionCLIPConfig(VideoCLIPConfig):
    """CLIP's configuration with the choices of ActionCLIP; the defaults are those of its published models.

    Args:
        num_frames: T, frames of a view. The model takes other numbers too, except with the head Transf_cls or the
            shift.
        head: How frame embeddings become a video embedding: Transf, meanP, LSTM, Conv_1D or Transf_cls.
        shift: Whether frames exchange channels of their patches before every vision layer.
        templates: The sentences about a class, with {} in place of its name.

    Raises:
        ValueError: If there is no such head, it does not fit the CLIP or the number of frames, or a sentence has not
            one {}.
    """

    model_type = "actionclip"

    num_frames: int = 16
    head: str = "Transf"
    shift: bool = False
    templates: list[str] | tuple[str, ...] = TEMPLATES

    def __post_init__(self, **kwargs: object) -> None:
        super().__post_init__(**kwargs)
        if self.head not in HEADS:
            raise ValueError(f"head is {self.head!r}: choose one of {', '.join(HEADS)}.")
        if not self.templates:
            raise ValueError("templates is empty: give at least one sentence, such as 'a video of {}'.")
        if wrong := [text for text in self.templates if not isinstance(text, str) or text.count("{}") != 1]:
            # YAML reads {} without quotes as an empty mapping.
            raise ValueError(f"The template {wrong[0]!r} must be a text with one {{}}, where the class name goes.")
        if self.num_frames < 1:
            raise ValueError(f"num_frames is {self.num_frames}: give a positive whole number.")
        if self.projection_dim % self.num_head_parts:
            raise ValueError(
                f"The head {self.head} needs a CLIP whose projection_dim ({self.projection_dim}) is a multiple of "
                f"{self.num_head_parts}: choose another head."
            )
        self.check_num_frames(self.num_frames)

    @property
    def num_head_parts(self) -> int:
        """Into how many equal parts the head divides an embedding, its attention heads; 1 without attention."""
        return {"Transf": max(1, self.text_config.hidden_size // HEAD_WIDTH), "Transf_cls": 8}.get(self.head, 1)

    def check_num_frames(self, num_frames: int) -> None:
        """Raise a ValueError if videos of ``num_frames`` frames cannot be encoded."""
        if self.shift or self.head == "Transf_cls":
            check_same_frames(self, num_frames, "ActionCLIP")
        if self.head == "Transf" and num_frames > MOST_FRAMES:
            raise ValueError(f"The head Transf takes at most {MOST_FRAMES} frames, not {num_frames}: give fewer.")
