"""The numbers of X-CLIP."""

from tc_clip_pl.baselines.video_shape import check_same_frames
from tc_clip_pl.modules.video_clip_config import VideoCLIPConfig

HEAD_WIDTH = 64
"""Width of an attention head in the joint space, if that is wide enough."""


class XCLIPConfig(VideoCLIPConfig):
    """CLIP's configuration with the one number of X-CLIP that its tables change.

    Args:
        num_frames: T, frames of a view. The position table of the multi-frame integration has a row for each, so a
            model takes videos of exactly this length.

    Raises:
        ValueError: If there is no frame, or the joint space does not divide into heads.
    """

    model_type = "xclip"

    num_frames: int = 16

    def __post_init__(self, **kwargs: object) -> None:
        super().__post_init__(**kwargs)
        if self.num_frames < 1:
            raise ValueError(f"num_frames is {self.num_frames}: give a positive whole number.")
        if self.projection_dim % self.num_heads:
            raise ValueError(
                f"X-CLIP needs a CLIP whose projection_dim ({self.projection_dim}) divides into {self.num_heads} "
                "attention heads: choose another CLIP."
            )

    @property
    def num_heads(self) -> int:
        """Attention heads in the joint space."""
        return max(1, self.projection_dim // HEAD_WIDTH)

    def check_num_frames(self, num_frames: int) -> None:
        """Raise a ValueError if videos of ``num_frames`` frames cannot be encoded."""
        check_same_frames(self, num_frames, "X-CLIP")
