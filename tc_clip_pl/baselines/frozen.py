"""What the systems around a frozen CLIP share."""

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor, nn

from tc_clip_pl.modules.backbone.interface import BackboneModel
from tc_clip_pl.modules.video_clip_config import VideoCLIPConfig


def freeze_all_but(model: nn.Module, trained: Collection[str]) -> None:
    """Freeze all parameters of a model but those of some names."""
    for name, parameter in model.named_parameters():
        if name not in trained:
            parameter.requires_grad_(False)


def check_frames_of_saved(config_class: type[VideoCLIPConfig], stored: Mapping[str, Any], num_frames: int) -> None:
    """Refuse to load a saved model for another number of frames than it was trained with.

    Args:
        config_class: Of the system.
        stored: Configuration of a saved model of this system, or of a plain CLIP, which takes any number.
        num_frames: How many frames the model should take.

    Raises:
        ValueError: Naming both numbers.
    """
    if stored["model_type"] == config_class.model_type:
        config_class.from_dict(stored).check_num_frames(num_frames)


def encode_frames(model: BackboneModel, video: Tensor) -> Tensor:
    """Run a plain CLIP frame by frame.

    Args:
        model: With CLIP's own vision model.
        video: (B, T, 3, H, W) normalized pixels.

    Returns:
        (B, T, E) projected [CLS] tokens, not normalized.
    """
    frames = model.visual_projection(model.vision_model(video.flatten(0, 1)).pooler_output)
    return frames.unflatten(0, video.shape[:2])
