"""What a test costs: views per second on the device, and the memory that the run has taken at most."""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from tc_clip_pl.training.device_clock import Moment, now, take_past


class CostMonitor(Callback):
    """Measure a test; the first batch, which compiles and encodes the classes, is not timed.

    Waiting for the data is no part of it. A GPU is not waited for: its own clock is read, some batches later. A view
    that is scored with several ensemble weights counts once for each.
    """

    def __init__(self) -> None:
        self._views, self._seconds, self._start = 0, 0.0, Moment(0.0)
        self._unread: deque[tuple[int, Moment, Moment]] = deque()  # views, start, end
        self._is_warm = False
        self._device, self._processes = torch.device("cpu"), 1

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Expect a first batch."""
        self._is_warm = False
        self._device, self._processes = trainer.strategy.root_device, trainer.world_size

    def on_test_batch_start(self, *args: Any, **kwargs: Any) -> None:
        """Start the clock once the batch is on the device and normalized."""
        self._start = now(self._device)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Stop the clock."""
        if self._is_warm:
            views = batch.video.shape[:2].numel() * len(pl_module.weight_sets)
            self._unread.append((views, self._start, now(self._device)))
        self._is_warm = True
        self._read()

    def measure(self) -> dict[str, float | None]:
        """Return `views_per_second` over all processes, None after a single batch, and `memory_gib` of one process."""
        for _, _, end in self._unread:
            end.wait()
        self._read()
        # Scaled rather than summed over the processes, which run in step.
        speed = self._processes * self._views / self._seconds if self._views else None
        return {"views_per_second": speed, "memory_gib": peak_memory(self._device)}

    def _read(self) -> None:
        for views, start, end in take_past(self._unread):
            self._views += views
            self._seconds += start.seconds_until(end)


def peak_memory(device: torch.device) -> float | None:
    """Return the most memory so far, in GiB: of tensors on a GPU, or of this process; None where it is unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)  # bytes on macOS, KiB elsewhere
