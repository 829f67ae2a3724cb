"""Which implementation a model runs with: plain PyTorch, Triton kernels, or a compiled vision encoder."""

import os
import shutil
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from tc_clip_pl.modules.fast_encoder import FastEncoder
from tc_clip_pl.modules.fast_text import FastText
from tc_clip_pl.modules.replays import Replays

if TYPE_CHECKING:
    from tc_clip_pl.modules.tc_clip import TCCLIP

Kernels = Literal["auto", "plain", "triton", "compiled"]
Chosen = Literal["plain", "triton", "compiled"]
LEAST_CAPABILITY = (8, 0)  # of a GPU: bfloat16 on tensor cores
LEAST_HEAD_DIM = 16  # of Triton's matrix products
RECOMPILE_LIMIT = 64


def choose_kernels(kernels: Kernels, device: torch.device, fastest: Chosen = "compiled") -> Chosen:
    """Resolve "auto", and check that the choice can run here.

    Args:
        kernels: The user's choice.
        device: Where the model runs.
        fastest: What "auto" means on a GPU that has what Triton's kernels need; anywhere else it means "plain".

    Raises:
        ValueError: If the choice needs what is missing here: Triton, a GPU, a C++ compiler, or Python's headers.
    """
    has_triton = find_spec("triton") is not None
    if kernels == "auto":
        fits = device.type == "cuda" and torch.cuda.get_device_capability(device) >= LEAST_CAPABILITY
        return fastest if fits and has_triton else "plain"
    if kernels == "compiled" and device.type == "cpu":
        _check_compiler()
    elif kernels != "plain" and not has_triton:
        raise ValueError(f"kernels {kernels!r} need Triton, which is not installed: choose plain or auto.")
    elif kernels == "triton" and device.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        raise ValueError("kernels 'triton' need a GPU, and the model runs on the CPU: choose compiled, plain or auto.")
    return kernels


def _check_compiler() -> None:
    compiler = os.environ.get("CXX") or {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")  # as torch does
    if shutil.which(compiler) is None:
        raise ValueError(
            f"kernels 'compiled' on a CPU need a C++ compiler, and there is no {compiler}: install it, name another "
            "one in the environment variable CXX, or choose plain or auto."
        )
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists():
        raise ValueError(
            f"kernels 'compiled' on a CPU need Python's headers, and there is no Python.h in {headers}: install them, "
            "python3-dev on Debian and Ubuntu, or choose plain or auto."
        )


def use_kernels(
    model: "TCCLIP",
    kernels: Kernels,
    device: torch.device | None = None,
    every_size: bool = False,
    weights_move: bool = False,
) -> None:
    """Set the implementation of the vision encoder; outputs stay equal within rounding.

    Args:
        model: The model.
        kernels: "plain", "triton", "compiled", or "auto". A compiled encoder has Triton's kernels on a GPU; on a CPU,
            the compiler also takes what they do.
        device: Where the model will run, which must then be torch's current device; None is where it is now.
        every_size: Whether batches of every size come again and again, so that each is worth compiling; see
            `FastEncoder`.
        weights_move: Whether every step finds its weights elsewhere, as a sharded model's are. Training's CUDA graphs
            then read a copy, which takes the memory of the weights once more, and evaluation has none.

    Raises:
        ValueError: If the choice needs what is missing here: Triton, a GPU, a C++ compiler, or Python's headers.
    """
    device = device or model.device
    chosen = choose_kernels(kernels, device)
    compiles, on_cpu = chosen == "compiled", device.type == "cpu"
    _set_kernels(model, has_kernels=chosen != "plain" and not (compiles and on_cpu))
    replays = device.type == "cuda" and chosen != "plain" and not weights_move
    model.replays = Replays() if replays else None
    model.fast_encoder = model.fast_text = None
    if compiles:
        model.fast_encoder = FastEncoder(model.vision_model, every_size, weights_move, as_whole=on_cpu)
        model.fast_text = FastText(every_size, weights_move)
        import torch._dynamo.config as config

        # A layer has several versions: first, last and those between, for each batch size and number of frames.
        config.recompile_limit = max(config.recompile_limit, RECOMPILE_LIMIT)
        # DDP would cut the compiled encoder at its buckets, which it cannot do where there are kernels of our own.
        config.optimize_ddp = False


def _set_kernels(model: "TCCLIP", has_kernels: bool) -> None:
    attend = match = None
    if has_kernels:
        from tc_clip_pl.kernels.attention import attend_with_context as attend
        from tc_clip_pl.kernels.matching import match_tokens as match
    for layer in model.vision_model.encoder.layers:
        head_dim = layer.self_attn.head_dim
        fits = head_dim >= LEAST_HEAD_DIM and head_dim & (head_dim - 1) == 0  # Triton's blocks are powers of two
        layer.self_attn.attend_with_context = attend if fits else None
        layer.match_tokens = match
