"""What a system checks of the videos that it is given."""

from torch import Tensor

from tc_clip_pl.modules.video_clip_config import VideoCLIPConfig


def check_video(video: Tensor, config: VideoCLIPConfig) -> None:
    """Refuse videos that are not (B, T, 3, H, W), of another frame size, or of another length than the model takes.

    Args:
        video: Normalized pixels.
        config: Of the model, with `check_num_frames`.

    Raises:
        ValueError: Saying what the model takes.
    """
    size = config.vision_config.image_size
    if video.ndim != 5 or video.shape[2:] != (3, size, size):
        raise ValueError(f"This model takes videos of shape (B, T, 3, {size}, {size}), not {tuple(video.shape)}.")
    config.check_num_frames(video.shape[1])
