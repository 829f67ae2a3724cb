"""Which implementation a model runs with: plain PyTorch, Triton kernels, or a vision encoder compiled around these."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import torch

from tc_clip_pl.modules.compiled_encoder import CompiledEncoder

if TYPE_CHECKING:
    from tc_clip_pl.modules.tc_clip import TCCLIP

Kernels = Literal["auto", "plain", "triton", "compiled"]
LEAST_CAPABILITY = (8, 0)  # of a GPU: bfloat16 and TF32 on tensor cores
LEAST_RECOMPILE_LIMIT = 64
LEAST_HEAD_DIM = 16  # of Triton's matrix products


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


def use_kernels(
    model: "TCCLIP", kernels: Kernels, device: torch.device | None = None, weights_are_fixed: bool = False
) -> None:
    """Set the implementation of the vision encoder; outputs stay equal within rounding.

    Args:
        model: The model.
        kernels: "plain", "triton", "compiled" (Triton kernels in an encoder that is compiled), or "auto".
        device: Where the model will run; None is where it is now.
        weights_are_fixed: Whether the weights stay where and what they are. Small batches, whose kernels are faster
            than their launches, are then replayed as CUDA graphs.

    Raises:
        ValueError: If the choice needs Triton and there is none.
    """
    device = device or model.device
    chosen = choose_kernels(kernels, device)
    attend = match = None
    if chosen != "plain":
        from tc_clip_pl.kernels.attention import attend_with_context as attend
        from tc_clip_pl.kernels.matching import match_tokens as match
    for layer in model.vision_model.encoder.layers:
        # Triton's blocks are powers of two.
        head_dim = layer.self_attn.head_dim
        fits = head_dim >= LEAST_HEAD_DIM and head_dim & (head_dim - 1) == 0
        layer.self_attn.attend_with_context = attend if fits else None
        layer.match_tokens = match
    replays = weights_are_fixed and device.type == "cuda"
    is_compiled = chosen == "compiled"
    model.fast_encoder = CompiledEncoder(model.vision_model, replays) if is_compiled else None
    if is_compiled:
        # A layer has versions: first, last and those between, in training and evaluation, for each batch size.
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, LEAST_RECOMPILE_LIMIT)
