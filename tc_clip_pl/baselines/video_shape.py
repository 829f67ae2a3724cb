"""What a system checks of the videos that it is given, and of their length before there are any."""

from torch import Tensor

from tc_clip_pl.modules.video_clip_config import VideoCLIPConfig


def check_same_frames(config: VideoCLIPConfig, num_frames: int, title: str) -> None:
    """Refuse another number of frames than the one that a model was made for.

    Args:
        config: Of the model, with `num_frames`.
        num_frames: Of a video.
        title: Name of the system.

    Raises:
        ValueError: Naming both numbers.
    """
    if num_frames != config.num_frames:
        raise ValueError(
            f"This {title} was made for {config.num_frames} frames, not {num_frames}: set data.num_frames to "
            f"{config.num_frames}, or train one with model.options.num_frames {num_frames}."
        )


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
