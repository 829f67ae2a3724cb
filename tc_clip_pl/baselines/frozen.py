"""What the systems around a frozen CLIP share."""

from collections.abc import Collection

from torch import Tensor, nn

from tc_clip_pl.modules.backbone.interface import BackboneModel


def freeze_all_but(model: nn.Module, trained: Collection[str]) -> None:
    """Freeze all parameters of a model but those of some names."""
    for name, parameter in model.named_parameters():
        if name not in trained:
            parameter.requires_grad_(False)


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
