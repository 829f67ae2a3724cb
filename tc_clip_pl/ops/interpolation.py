"""Weight-space interpolation between two state dicts."""

from collections.abc import Mapping

import torch
from torch import Tensor


def interpolate_state_dicts(
    clip: Mapping[str, Tensor], fine_tuned: Mapping[str, Tensor], weight: float
) -> dict[str, Tensor]:
    """Interpolate linearly between CLIP's weights and fine-tuned ones.

    `theta = (1 - weight) * theta_CLIP + weight * theta_fine_tuned` (Sec. 4.1), exact at both ends and wherever the two
    agree. The arithmetic is in float32 or better, whatever the dtype of the weights.

    Args:
        clip: CLIP's original weights by name.
        fine_tuned: Fine-tuned weights under the same names, of the same shapes.
        weight: Share of the fine-tuned weights, in [0, 1]: 0 is CLIP, 1 is fine-tuned.

    Returns:
        New tensors by name, in the dtype and on the device of `fine_tuned`.

    Raises:
        ValueError: If the weight is outside [0, 1], or names or shapes differ.

    Example:
        >>> interpolate_state_dicts({"w": torch.zeros(1)}, {"w": torch.ones(1)}, weight=0.75)
        {'w': tensor([0.7500])}
    """
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"The ensemble weight must be between 0 (CLIP) and 1 (fine-tuned), got {weight}.")
    if unmatched := sorted(clip.keys() ^ fine_tuned.keys()):
        raise ValueError(
            f"{len(unmatched)} weights are in one of the two models only ({', '.join(unmatched[:5])}): "
            "give two models of the same configuration."
        )
    return {name: _interpolate(name, clip[name], tensor, weight) for name, tensor in fine_tuned.items()}


def _interpolate(name: str, clip: Tensor, fine_tuned: Tensor, weight: float) -> Tensor:
    if clip.shape != fine_tuned.shape:
        raise ValueError(f"{name} is {tuple(clip.shape)} in CLIP but {tuple(fine_tuned.shape)} after fine-tuning.")
    dtype = torch.promote_types(fine_tuned.dtype, torch.float32)
    start = clip.to(device=fine_tuned.device, dtype=dtype)
    # Unlike the sum of two products, lerp is exact at both ends.
    return torch.lerp(start, fine_tuned.to(dtype), weight).to(fine_tuned.dtype)
