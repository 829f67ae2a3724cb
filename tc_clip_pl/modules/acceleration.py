"""Which implementation a model runs with: plain PyTorch, Triton kernels, or compiled layers around these."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from tc_clip_pl.modules.tc_clip import TCCLIP

Kernels = Literal["auto", "plain", "triton", "compiled"]
LEAST_CAPABILITY = (8, 0)  # of a GPU: bfloat16 and TF32 on tensor cores
LEAST_HEAD_DIM = 16



def choose_kernels(kernels: Kernels, device: torch.device) -> Literal["plain", "triton", "compiled"]:
    """Resolve "auto": compiled on a GPU that has what the kernels need, otherwise plain.

    Args:
        kernels: The user's choice.
        device: Where the model runs.

    Raises:
        ValueError: If the choice needs Triton and there is none.
    """
    has_triton = find_spec("triton") is not None
    if kernels == "auto":
        fits = device.type == "cuda" and torch.cuda.get_device_capability(device) >= LEAST_CAPABILITY
        return "compiled" if fits and has_triton else "plain"
    if kernels != "plain" and not has_triton:
        raise ValueError(f"kernels {kernels!r} need Triton, which is not installed: choose plain or auto.")
    return kernels


def use_kernels(model: "TCCLIP", kernels: Kernels, device: torch.device | None = None) -> None:
    """Set the implementation of the vision layers; outputs stay equal within rounding.

    Args:
        model: The model.
        kernels: "plain", "triton", "compiled" (Triton kernels inside layers compiled one by one), or "auto".
        device: Where the model will run; None is where it is now.

    Raises:
        ValueError: If the choice needs Triton and there is none.
    """
    chosen = choose_kernels(kernels, device or model.device)
    attend = match = None
    if chosen != "plain":
        from tc_clip_pl.kernels.attention import attend_with_context as attend
        from tc_clip_pl.kernels.matching import match_tokens as match
        head_dim = model.vision_model.encoder.layers[0].self_attn.head_dim
        if head_dim < LEAST_HEAD_DIM or head_dim & (head_dim - 1):  # Triton's blocks are powers of two
            attend = None
    for layer in model.vision_model.encoder.layers:
        layer.self_attn.attend_with_context, layer.match_tokens = attend, match
        layer._compiled_call_impl = None
        if chosen == "compiled":
            layer.compile(dynamic=False)
