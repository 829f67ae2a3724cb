"""Ctrl-C that no library can swallow, and SIGTERM that ends a run in the same way."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer


class KeepInterrupts(Callback):
    """Raises `KeyboardInterrupt` again, after the batch, where the first one was lost.

    Python raises it wherever the program is. In a function that C code calls back, or in a finalizer, nobody can catch
    it, and the run would go on.

    A SIGTERM raises it too. Lightning would end the run after the batch, with exit code 0, and for that have all
    processes tell each other before every batch whether one got the signal. There the host waits until the GPU has done
    all its work, and the GPU then for the host (github.com/Lightning-AI/pytorch-lightning/issues/21487). It is needless
    where the others end with the first: `EndTogether` and launchers see to that.
    """

    def __init__(self) -> None:
        self._before: Any = None
        self._pending: int | None = None  # number of the signal

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take note of interrupts from now on."""
        self._pending = None
        trainer._signal_connector._sigterm_notifier_fn = self._interrupt
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None
        # Python has signals in the main thread only.
        if self._before is None and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._pending = number
        if number == signal.SIGTERM:  # workers that got it too end as well, for which torch would raise in the clean-up
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        raise KeyboardInterrupt

    def _raise_pending(self, *_: object, **__: object) -> None:
        if self._pending is not None:
            raise KeyboardInterrupt

    on_train_batch_end = on_validation_batch_end = on_test_batch_end = on_predict_batch_end = _raise_pending

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Say what ended this process, unless it is the first, which says how to resume."""
        if self._pending == signal.SIGTERM and not trainer.is_global_zero:
            print(f"tcclip (process {trainer.global_rank}): Ended by SIGTERM.", file=sys.stderr, flush=True)
        self.teardown()

    def teardown(self, *_: object, **__: object) -> None:
        """Leave interrupts to whoever handled them before."""
        # After Ctrl-C, Lightning ignores another one until it has cleaned up: that handler stays.
        if self._before is not None and signal.getsignal(signal.SIGINT) == self._interrupt:
            signal.signal(signal.SIGINT, self._before)
        self._before = None
