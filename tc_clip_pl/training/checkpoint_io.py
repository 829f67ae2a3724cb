"""Writing checkpoints so that a full disk or an interruption leaves the earlier file intact."""

import contextlib
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO


class SafeCheckpointIO(TorchCheckpointIO):
    """Write beside the file, then rename.

    Lightning writes into the temporary folder of the system and moves the file. Where that is another disk, moving is
    copying, and a full disk leaves a truncated checkpoint under the name of the good one.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            OSError: If it cannot be written; an earlier file of that name is kept.
        """
        path = Path(path)
        unfinished = path.with_name(f"{path.name}.unfinished")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                torch.save(checkpoint, file)
                # Some file systems report a full disk only here.
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except (OSError, RuntimeError) as error:  # torch's own writer turns a full disk into a RuntimeError
            with contextlib.suppress(OSError):  # there may be none; the first error is the one to report
                unfinished.unlink()
            kept = "the earlier file is kept" if path.exists() else "no file was written"
            raise OSError(f"The checkpoint {path} could not be written ({_reason(error)}); {kept}.") from error


def _reason(error: BaseException) -> str:
    cause = next((e for e in (error, error.__cause__, error.__context__) if isinstance(e, OSError)), error)
    return " ".join(str(cause).split())
