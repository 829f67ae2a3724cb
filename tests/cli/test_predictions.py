"""What `predictions.csv` says of a model with known logits, and which of two epochs is the best checkpoint."""

import csv
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from tc_clip_pl.cli.write_outputs import write_predictions

DEFAULTS = Path(__file__).parents[2] / "configs" / "defaults.yaml"


def test_every_class_stands_by_its_own_name_and_probability(tmp_path):
    probabilities = torch.tensor([[0.1, 0.2, 0.6, 0.1], [0.7, 0.0, 0.1, 0.2]])
    batch = {"probabilities": probabilities, "video_id": ["b.mp4", "a.mp4"], "label": torch.tensor([0, 0])}
    trainer = SimpleNamespace(log_dir=str(tmp_path), is_global_zero=True)
    write_predictions([batch], ["wave", "jump", "brush hair", "run"], trainer)
    rows = list(csv.reader((tmp_path / "predictions.csv").open()))
    assert rows[1] == ["a.mp4", "wave", "0.7000", "run", "0.2000", "brush hair", "0.1000"]
    assert rows[2][:5] == ["b.mp4", "brush hair", "0.6000", "jump", "0.2000"]


def test_probabilities_that_are_not_finite_are_refused(tmp_path):
    probabilities = torch.full((3, 2), 0.5)
    probabilities[0], probabilities[2, 1] = torch.nan, torch.nan  # the first is padding
    batch = {"probabilities": probabilities, "video_id": ["", "a.mp4", "b.mp4"], "label": torch.tensor([-1, 0, 0])}
    with pytest.raises(ValueError, match=r"^The probabilities of 1 of 2 videos \(such as b\.mp4\) are not finite: .*"):
        write_predictions([batch], ["a", "b"], SimpleNamespace(log_dir=str(tmp_path), is_global_zero=True))
    assert not list(tmp_path.iterdir())


class ScriptedModel(LightningModule):
    """Reports a given validation accuracy in every epoch."""

    def __init__(self, accuracies):
        super().__init__()
        self.accuracies = accuracies
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch, batch_idx):
        return self.weight * 0

    def validation_step(self, batch, batch_idx):
        self.log("val/top1", self.accuracies[self.current_epoch])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize(("accuracies", "best"), [([0.2, 0.8], 0.8), ([0.9, 0.3], 0.9)])
def test_best_checkpoint_is_the_better_of_two_epochs(tmp_path, accuracies, best):
    checkpoint = fit(accuracies, tmp_path)
    assert checkpoint.best_model_score.item() == pytest.approx(best)
    assert torch.load(tmp_path / "best.ckpt")["epoch"] == accuracies.index(best)


@pytest.mark.parametrize(("accuracies", "best"), [([0.9, 0.3], 0), ([0.3, 0.9], 1)])
def test_resumed_run_keeps_the_best_epoch_before_it(tmp_path, accuracies, best):
    fit(accuracies[:1], tmp_path / "first")
    resumed = fit(accuracies, tmp_path / "resumed", ckpt_path=tmp_path / "first" / "last.ckpt")
    assert Path(resumed.best_model_path) == tmp_path / ("first", "resumed")[best] / "best.ckpt"
    assert torch.load(resumed.best_model_path)["epoch"] == best
    assert (tmp_path / "first" / "best.ckpt").is_file()  # a resumed run deletes nothing of another one


def test_best_epoch_that_is_gone_is_not_waited_for(tmp_path):
    fit([0.9], tmp_path / "first")
    (tmp_path / "first" / "best.ckpt").unlink()
    with pytest.warns(UserWarning, match=r"first/best\.ckpt is gone, so that only epochs from here on"):
        resumed = fit([0.9, 0.3], tmp_path / "resumed", ckpt_path=tmp_path / "first" / "last.ckpt")
    assert Path(resumed.best_model_path) == tmp_path / "resumed" / "best.ckpt"


def fit(accuracies, folder, ckpt_path=None):
    """Train with the checkpoints of the shipped configuration; return that of the best epoch."""
    checkpoints = {}
    for entry in yaml.safe_load(DEFAULTS.read_text())["trainer"]["callbacks"]:
        module, _, name = entry["class_path"].rpartition(".")
        if issubclass(kind := getattr(import_module(module), name), ModelCheckpoint):
            checkpoints[entry["init_args"]["filename"]] = kind(**{**entry["init_args"], "dirpath": folder})
    trainer = Trainer(
        max_epochs=len(accuracies), callbacks=list(checkpoints.values()), logger=False, accelerator="cpu",
        num_sanity_val_steps=0, enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
    )  # fmt: skip
    loader = torch.utils.data.DataLoader(torch.zeros(1))
    trainer.fit(ScriptedModel(accuracies), loader, loader, ckpt_path=ckpt_path)
    return checkpoints["best"]
