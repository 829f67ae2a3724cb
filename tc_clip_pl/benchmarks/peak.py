"""The speed of a large matrix product: what the model's speed is a share of."""

from __future__ import annotations

import torch

from tc_clip_pl.benchmarks.timing import time_call

GPU_SIZE, CPU_SIZE = 8192, 1024
REPEATS = {"cuda": 100, "cpu": 40}


def measure_peak(device: torch.device) -> dict[str, float | int | str]:
    """Multiply two square matrices: in bfloat16 on a GPU, in float32 on a CPU.

    Returns:
        The `tflops`, and the `size` and `dtype` of the matrices.
    """
    size, dtype = (GPU_SIZE, torch.bfloat16) if device.type == "cuda" else (CPU_SIZE, torch.float32)
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(a)
    # The fastest one: what slows the others is not the device.
    calls = (time_call(lambda: torch.mm(a, b, out=out), device, 1, warm_up=0) for _ in range(REPEATS[device.type]))
    seconds = min(timing.median for timing in calls)
    return {"tflops": 2 * size**3 / seconds / 1e12, "size": size, "dtype": str(dtype).removeprefix("torch.")}
