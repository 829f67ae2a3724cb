"""The numbers of A5, next to those of the backbone."""

from tc_clip_pl.baselines.video_shape import check_same_frames
from tc_clip_pl.modules.video_clip_config import VideoCLIPConfig

NUM_HEADS = 8


class A5Config(VideoCLIPConfig):
    """The backbone's configuration with the choices of A5; the defaults are those of its released training command.

    Args:
        num_frames: T, frames of a view. It sets the size of the table of frame positions; without a temporal
            transformer, the model takes any number.
        num_prefix_vectors: Learned vectors before the class name.
        num_postfix_vectors: Learned vectors after the class name.
        num_temporal_layers: Layers of the transformer over the frames; 0 averages the frame embeddings of CLIP instead.
        temperature: What the cosines are divided by; CLIP's own scale is not used.

    Raises:
        ValueError: If a number is out of range, the vectors leave no room for a class name, or the width of CLIP's
            joint space cannot be divided among the heads.
    """

    model_type = "a5"

    num_frames: int = 16
    num_prefix_vectors: int = 16
    num_postfix_vectors: int = 16
    num_temporal_layers: int = 1
    temperature: float = 0.07

    def __post_init__(self, **kwargs: object) -> None:
        super().__post_init__(**kwargs)
        if self.num_frames < 1:
            raise ValueError(f"num_frames is {self.num_frames}: give a positive whole number.")
        for option in ("num_prefix_vectors", "num_postfix_vectors", "num_temporal_layers"):
            if getattr(self, option) < 0:
                raise ValueError(f"{option} is {getattr(self, option)}: give a whole number of at least 0.")
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}: give a number above 0.")
        room = self.text_config.max_position_embeddings
        if self.num_prompt_vectors > room - 3:  # SOS, one token of a name, and EOS
            raise ValueError(
                f"num_prefix_vectors={self.num_prefix_vectors} and num_postfix_vectors={self.num_postfix_vectors} "
                f"leave no room for a class name in the text encoder's {room} tokens: use fewer vectors."
            )
        if self.num_temporal_layers and self.projection_dim % NUM_HEADS:
            raise ValueError(
                f"The temporal transformer has {NUM_HEADS} heads, and this CLIP's projection_dim of "
                f"{self.projection_dim} is no multiple of that: set num_temporal_layers to 0."
            )

    @property
    def num_prompt_vectors(self) -> int:
        """By how many tokens the vectors make a text longer than the bare class name."""
        return self.num_prefix_vectors + self.num_postfix_vectors

    def check_num_frames(self, num_frames: int) -> None:
        """Raise a ValueError if videos of ``num_frames`` frames cannot be encoded."""
        if self.num_temporal_layers:
            check_same_frames(self, num_frames, "A5")
