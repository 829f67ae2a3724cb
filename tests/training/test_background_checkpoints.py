"""Checkpoints that are written while the training goes on hold the state of the moment when they were asked for."""

import threading

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from tc_clip_pl.training.background_checkpoints import BackgroundCheckpointIO
from tests.training.test_checkpoint_io import fill_disk

LIMIT = 20  # seconds, for what takes none


@pytest.fixture
def writing(monkeypatch):
    """Holds up every write until it is set."""
    event, save = threading.Event(), torch.save

    def held_up(*arguments):
        assert event.wait(LIMIT)
        save(*arguments)

    monkeypatch.setattr(torch, "save", held_up)
    yield event
    event.set()


def last_saver(folder):
    return ModelCheckpoint(folder, filename="last", enable_version_counter=False, save_on_train_epoch_end=True)


def test_writes_the_state_of_the_call(tmp_path, writing):
    path, weights, names = tmp_path / "last.ckpt", torch.ones(3), ["a"]
    plugin = BackgroundCheckpointIO()
    plugin.save_checkpoint({"nested": [{"weights": weights}], "names": names}, path)
    weights.zero_()
    names.append("b")
    assert not path.exists()  # nobody waited
    writing.set()
    plugin.finish()
    written = torch.load(path)
    assert torch.equal(written["nested"][0]["weights"], torch.ones(3))
    assert written["names"] == ["a"]


@pytest.mark.parametrize(
    "act",
    [
        lambda plugin, path: plugin.save_checkpoint({}, path.with_name("next.ckpt")),
        lambda plugin, path: plugin.load_checkpoint(path),
        lambda plugin, path: plugin.remove_checkpoint(path),
        lambda plugin, path: plugin.teardown(),
    ],
    ids=["save", "load", "remove", "teardown"],
)
def test_waits_for_the_last_one(tmp_path, writing, act):
    path, plugin = tmp_path / "last.ckpt", BackgroundCheckpointIO()
    plugin.save_checkpoint({"a": torch.ones(3)}, path)
    found = []
    thread = threading.Thread(target=lambda: found.append(act(plugin, path)))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    writing.set()
    thread.join(LIMIT)
    assert len(found) == 1
    plugin.finish()
    assert not list(tmp_path.glob("*.unfinished"))


def test_says_once_that_one_could_not_be_written(tmp_path, monkeypatch):
    plugin = BackgroundCheckpointIO()
    fill_disk(monkeypatch, after=0)
    plugin.save_checkpoint({"a": torch.ones(3)}, tmp_path / "last.ckpt")
    with pytest.raises(OSError, match=r"last.ckpt could not be written \(.*No space left.*no file was written"):
        plugin.save_checkpoint({"a": torch.ones(3)}, tmp_path / "last.ckpt")
    plugin.finish()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("max_epochs", [1, 3])
def test_training_on_a_full_disk(make_module, make_data, make_trainer, tmp_path, monkeypatch, max_epochs):
    fill_disk(monkeypatch, 1000)
    options = {"enable_checkpointing": True, "plugins": [BackgroundCheckpointIO()], "max_epochs": max_epochs}
    with pytest.raises(OSError, match="No space left"):
        make_trainer(last_saver(tmp_path), **options).fit(make_module(), datamodule=make_data())
    assert not list(tmp_path.iterdir())


def test_checkpoints_of_a_training_are_those_written_at_once(make_module, make_data, make_trainer, tmp_path):
    written = []
    for name, plugins in (("at_once", []), ("meanwhile", [BackgroundCheckpointIO()])):
        torch.manual_seed(0)
        options = {"enable_checkpointing": True, "plugins": plugins, "max_epochs": 2}
        make_trainer(last_saver(tmp_path / name), **options).fit(make_module(), datamodule=make_data())
        written.append(torch.load(tmp_path / name / "last.ckpt", weights_only=False))
    at_once, meanwhile = written
    assert at_once.keys() == meanwhile.keys()
    assert meanwhile["global_step"] == at_once["global_step"] > 0
    for name, weights in at_once["state_dict"].items():
        torch.testing.assert_close(meanwhile["state_dict"][name], weights, rtol=0, atol=0)
    moments = [checkpoint["optimizer_states"][0]["state"] for checkpoint in written]
    torch.testing.assert_close(*moments, rtol=0, atol=0)
