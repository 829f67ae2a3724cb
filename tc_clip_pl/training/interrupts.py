"""Ctrl-C that no library can swallow, and SIGTERM that ends a run in the same way."""

from __future__ import annotations

import signal
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
        self._is_pending = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take note of interrupts from now on."""
        self._is_pending = False
        trainer._signal_connector._sigterm_notifier_fn = self._interrupt
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _do_nothing
        # Python has signals in the main thread only.
        if self._before is None and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._is_pending = True
        raise KeyboardInterrupt

    def _raise_pending(self, *_: object, **__: object) -> None:
        if self._is_pending:
            raise KeyboardInterrupt

    on_train_batch_end = on_validation_batch_end = on_test_batch_end = on_predict_batch_end = _raise_pending

    def _stop(self, *_: object, **__: object) -> None:
        # After Ctrl-C, Lightning ignores another one until it has cleaned up: that handler stays.
        if self._before is not None and signal.getsignal(signal.SIGINT) == self._interrupt:
            signal.signal(signal.SIGINT, self._before)
        self._before = None

    teardown = on_exception = _stop


def _do_nothing() -> None:
    pass
