"""A full disk leaves the earlier checkpoint intact, and no truncated file."""

import errno
import os

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from tc_clip_pl.training.checkpoint_io import SafeCheckpointIO


def fill_disk(monkeypatch, after):
    """Let the file system run out of space after so many bytes of a checkpoint."""
    save = torch.save

    def truncated(checkpoint, file):
        save(checkpoint, file)
        file.flush()
        os.ftruncate(file.fileno(), after)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", truncated)


def test_writes_what_it_is_given(tmp_path):
    path = tmp_path / "new" / "folder" / "last.ckpt"
    SafeCheckpointIO().save_checkpoint({"a": torch.ones(3)}, path)
    assert torch.equal(torch.load(path)["a"], torch.ones(3))
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("after", [0, 100])
def test_full_disk_keeps_the_earlier_file(tmp_path, monkeypatch, after):
    path = tmp_path / "last.ckpt"
    SafeCheckpointIO().save_checkpoint({"a": torch.ones(3)}, path)
    fill_disk(monkeypatch, after)
    with pytest.raises(OSError, match=r"last.ckpt could not be written \(.*No space left.*earlier file is kept"):
        SafeCheckpointIO().save_checkpoint({"a": torch.zeros(3)}, path)
    assert torch.equal(torch.load(path)["a"], torch.ones(3))
    assert list(tmp_path.iterdir()) == [path]


def test_error_at_closing_is_noticed(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no file was written"):
        SafeCheckpointIO().save_checkpoint({"a": torch.zeros(3)}, tmp_path / "last.ckpt")
    assert not list(tmp_path.iterdir())


def test_torchs_own_error_becomes_one_sentence(tmp_path, monkeypatch):
    def fails(checkpoint, file):
        raise RuntimeError("[enforce fail at inline_container.cc:858] . PytorchStreamWriter failed writing file data/0")

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(OSError, match="failed writing file"):
        SafeCheckpointIO().save_checkpoint({}, tmp_path / "last.ckpt")


def test_training_on_a_full_disk(make_module, make_data, make_trainer, tmp_path, monkeypatch):
    saver = ModelCheckpoint(tmp_path, filename="last", enable_version_counter=False, save_on_train_epoch_end=True)
    options = {"enable_checkpointing": True, "plugins": [SafeCheckpointIO()]}
    make_trainer(saver, **options).fit(make_module(), datamodule=make_data())
    before = (tmp_path / "last.ckpt").read_bytes()
    fill_disk(monkeypatch, 1000)
    saver = ModelCheckpoint(tmp_path, filename="last", enable_version_counter=False, save_on_train_epoch_end=True)
    with pytest.raises(OSError, match="No space left"):
        make_trainer(saver, max_epochs=2, **options).fit(make_module(), datamodule=make_data())
    assert (tmp_path / "last.ckpt").read_bytes() == before


def test_file_that_cannot_be_opened(tmp_path):
    (tmp_path / ("n" * 250)).touch()  # names of files have at most 255 bytes, and ours is longer while unfinished
    with pytest.raises(OSError, match=r"could not be written \(.*too long.*earlier file is kept"):
        SafeCheckpointIO().save_checkpoint({}, tmp_path / ("n" * 250))
