"""A callback that ends one of several processes."""

import os
import signal
import time

from lightning.pytorch import Callback

OBSERVED = 5  # seconds after which Lightning looks again whether the other processes live


class Terminate(Callback):
    """Sends SIGTERM to this process, if it is of the given rank, after the second batch; its end takes a while."""

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_rank == self.rank and batch_idx == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_exception(self, trainer, pl_module, exception):
        if trainer.global_rank == self.rank == 0:
            time.sleep(OBSERVED + 1)
