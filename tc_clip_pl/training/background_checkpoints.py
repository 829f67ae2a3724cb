"""Writes checkpoints while the training goes on."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor

from tc_clip_pl.training.checkpoint_io import SafeCheckpointIO


class BackgroundCheckpointIO(SafeCheckpointIO):
    """Copy the state to the host's memory, train on, and write it meanwhile, as `SafeCheckpointIO` does.

    A checkpoint of CLIP B/16 has 1.5 GB, and is written in the time in which a fast GPU trains on 400 clips.
    Lightning's own `AsyncCheckpointIO` copies it within the GPU, whose memory the training may need, and lets copies
    pile up; here the next one waits until the last is written. An error ends the training then, or at its end.
    """

    def __init__(self) -> None:
        self._pending: Future[None] | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Begin to write a checkpoint.

        Raises:
            OSError: If the last one could not be written.
        """
        self.finish()
        checkpoint = apply_to_collection(checkpoint, Tensor, _copy_to_host)
        if torch.cuda.is_initialized():
            torch.cuda.current_stream().synchronize()
        writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending = writer.submit(super().save_checkpoint, checkpoint, path, storage_options)
        writer.shutdown(wait=False)  # its thread ends with this checkpoint

    def finish(self) -> None:
        """Wait until the last checkpoint is written.

        Raises:
            OSError: If it could not be.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def load_checkpoint(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Load a checkpoint, which may be the last one written."""
        self.finish()
        return super().load_checkpoint(*args, **kwargs)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint, once the one that replaces it is written."""
        self.finish()
        super().remove_checkpoint(path)

    def teardown(self) -> None:
        """Finish at the end of the training."""
        self.finish()


def _copy_to_host(tensor: Tensor) -> Tensor:
    """Copy a tensor, from a GPU without waiting for it."""
    # Pinned memory, which torch keeps for the next checkpoint: new memory would take as long as half of the writing.
    copy = torch.empty_like(tensor, device="cpu", pin_memory=tensor.is_cuda)
    return copy.copy_(tensor.detach(), non_blocking=tensor.is_cuda)
