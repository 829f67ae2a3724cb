"""Ctrl-C and SIGTERM end a run, even where a library swallows the exception."""

import os
import signal

import lightning as L
import pytest
import torch

from tc_clip_pl.training.interrupts import KeepInterrupts


class SwallowingFit(L.LightningModule):
    """Interrupted in its third step, by which it is not impressed."""

    def __init__(self, interrupted_by):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.interrupted_by, self.steps = interrupted_by, 0

    def training_step(self, batch, batch_idx):
        self.steps += 1
        if self.steps == 3 and self.interrupted_by:
            try:
                os.kill(os.getpid(), self.interrupted_by)
                signal.pause()  # not reached: the handler runs at the next instruction
            except KeyboardInterrupt:
                if self.interrupted_by == signal.SIGTERM:
                    os.kill(os.getpid(), signal.SIGCHLD)  # as if a worker had got it too
        return self.weight.sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(tmp_path, interrupted_by):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    quiet |= {"enable_model_summary": False, "accelerator": "cpu", "max_epochs": 1, "default_root_dir": tmp_path}
    model = SwallowingFit(interrupted_by)
    trainer = L.Trainer(callbacks=[KeepInterrupts()], **quiet)
    try:
        trainer.fit(model, torch.utils.data.DataLoader(torch.zeros(8, 1)))
    finally:
        after = signal.getsignal(signal.SIGINT)
    return model.steps, after


def fail(*_):
    raise RuntimeError("As torch does where a worker has died.")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_swallowed_interrupt_ends_the_run_after_its_batch(tmp_path, number):
    before = signal.getsignal(signal.SIGINT)
    child = signal.signal(signal.SIGCHLD, fail)
    try:
        with pytest.raises(SystemExit) as stop:
            fit(tmp_path, number)
        assert isinstance(stop.value.__context__, KeyboardInterrupt)
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGCHLD, child)


def test_handler_before_the_run_is_back_after_it(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    assert fit(tmp_path, interrupted_by=None) == (8, before)


def test_what_is_replaced_in_lightning_exists(tmp_path):
    trainer = L.Trainer(logger=False, accelerator="cpu", default_root_dir=tmp_path)
    assert hasattr(trainer._signal_connector, "_sigterm_notifier_fn")
    assert hasattr(trainer.fit_loop.epoch_loop, "_broadcast_sigterm_tensor")
