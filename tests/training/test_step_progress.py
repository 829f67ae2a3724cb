"""One live line for a whole training, and a printed line per validation."""

import io
import re

import pytest
import rich
import torch
from lightning.pytorch import LightningModule
from rich.console import Console
from torch.utils.data import DataLoader

from tc_clip_pl.training.step_progress import StepProgress


class Line(LightningModule):
    """Learns one number; its two held-out accuracies are 0.25 and 0.75."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(1.0))

    def training_step(self, batch, batch_idx):
        loss = (self.weight * batch).square().mean()
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log_dict({"val/easy": 0.75, "val/hard": 0.25}, batch_size=1)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture
def train(monkeypatch, make_trainer):
    """Trains six steps in epochs of four, validating every second; returns what was written to the screen."""

    def train(**console):
        file = io.StringIO()
        rich.get_console()  # creates the one that monkeypatch restores
        monkeypatch.setattr("rich._console", Console(file=file, width=80, **console))
        steps = {"max_epochs": -1, "max_steps": 6, "val_check_interval": 2, "check_val_every_n_epoch": None}
        trainer = make_trainer(StepProgress(), enable_progress_bar=True, **steps)
        trainer.fit(Line(), DataLoader(torch.ones(4)), DataLoader(torch.ones(1)))
        trainer.validate(trainer.lightning_module, DataLoader(torch.ones(1)), verbose=False)
        return file.getvalue()

    return train


def test_piped_output_has_one_line_per_validation(train):
    lines = train().splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["step 2/6", "step 4/6", "step 6/6"]
    assert all(re.search(r"  loss 0\.\d+  held-out accuracy 50\.0%", line) for line in lines)
    assert [bool(re.search(r"  0:0\d left$", line)) for line in lines] == [True, True, False]


def test_terminal_has_one_live_line_for_all_epochs(train, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    written = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", train(force_terminal=True, color_system=None))
    live = [line for line in re.split(r"[\r\n]+", written) if line.startswith("pre-training")]
    assert live and all(re.search(r" [0-6]/6 ", line) and len(line) <= 80 for line in live)
    assert re.search(r" 6/6 .*loss 0\.\d+", live[-1])
    assert "epoch" not in written and "validation" not in written
    assert [line for line in written.splitlines() if line.startswith("step 2/6")]
