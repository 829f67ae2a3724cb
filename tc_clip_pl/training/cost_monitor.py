"""What a test costs: views per second on the device, and the memory that the run has taken at most."""

from __future__ import annotations

import sys
import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class CostMonitor(Callback):
    """Measure a test; the first batch, which compiles and encodes the classes, is not timed.

    Waiting for the data is no part of it. A view that is scored with several ensemble weights counts once for each.
    """

    def __init__(self) -> None:
        self._views, self._seconds, self._start = 0, 0.0, 0.0
        self._is_warm = False
        self._device, self._processes = torch.device("cpu"), 1

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Expect a first batch."""
        self._is_warm = False
        self._device, self._processes = trainer.strategy.root_device, trainer.world_size

    def on_test_batch_start(self, *args: Any, **kwargs: Any) -> None:
        """Start the clock once the batch is on the device and normalized."""
        self._synchronize()
        self._start = time.perf_counter()

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Stop the clock."""
        self._synchronize()
        if self._is_warm:
            self._seconds += time.perf_counter() - self._start
            self._views += batch.video.shape[:2].numel() * len(pl_module.weight_sets)
        self._is_warm = True

    def measure(self) -> dict[str, float | None]:
        """Return `views_per_second` over all processes, None after a single batch, and `memory_gib` of one process."""
        # Scaled rather than summed over the processes, which run in step.
        speed = self._processes * self._views / self._seconds if self._views else None
        return {"views_per_second": speed, "memory_gib": peak_memory(self._device)}

    def _synchronize(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def peak_memory(device: torch.device) -> float | None:
    """Return the most memory so far, in GiB: of tensors on a GPU, or of this process; None where it is unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)  # bytes on macOS, KiB elsewhere
