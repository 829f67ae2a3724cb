"""What a run says of its folder when it ends early."""

import time

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from tc_clip_pl.cli.run_folder_notes import RunFolderNotes
from tc_clip_pl.training.background_checkpoints import BackgroundCheckpointIO


def test_names_a_checkpoint_that_is_still_being_written(tmp_path, monkeypatch, capsys):
    plugin, save = BackgroundCheckpointIO(), torch.save
    trainer = Trainer(logger=False, accelerator="cpu", plugins=[plugin], callbacks=[ModelCheckpoint(tmp_path)])
    notes = RunFolderNotes(["fit", "--config", "few_shot_hmdb.yaml"])
    notes.on_train_batch_start(trainer)
    monkeypatch.setattr(torch, "save", lambda *arguments: (time.sleep(0.3), save(*arguments)))
    plugin.save_checkpoint({}, tmp_path / "last.ckpt")
    notes.on_exception(trainer, None, KeyboardInterrupt())
    assert f"tcclip fit --config few_shot_hmdb.yaml --ckpt_path {tmp_path}/last.ckpt" in capsys.readouterr().err
