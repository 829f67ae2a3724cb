"""Checkpoints: resuming, loading the model from the file alone, rejecting the wrong file."""

import os
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from tc_clip_pl.training import load_model
from tc_clip_pl.training.checkpoint import (
    CheckpointFacts,
    check_settings,
    check_state_dict,
    read_checkpoint,
    read_facts,
)


@pytest.fixture
def trained(make_module, make_data, make_trainer, tmp_path):
    module, trainer = make_module(label_smoothing=0.2), make_trainer()
    trainer.fit(module, datamodule=make_data())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    return module, tmp_path / "last.ckpt"


def test_load_model_rebuilds_weights_tokenizer_and_config(trained):
    module, path = trained
    model = load_model(path)
    assert not model.training
    assert model.config.num_context_tokens == 4
    for name, value in module.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    model.set_class_names(["brush hair", "wave"])
    module.model.set_class_names(["brush hair", "wave"])
    video = torch.randn(2, 4, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model(video).logits, module.model.eval()(video).logits)


def test_resumed_training_ends_with_the_same_weights(make_module, make_data, make_trainer, tmp_path):
    def fit(epochs, folder, **kwargs):
        module = make_module(warmup_epochs=1)
        saver = ModelCheckpoint(tmp_path / folder, filename="{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
        data = make_data(batch_size=2, global_batch_size=4)
        make_trainer(saver, max_epochs=epochs, enable_checkpointing=True).fit(module, datamodule=data, **kwargs)
        return module.model.state_dict()

    whole = fit(4, "whole")
    resumed = fit(4, "resumed", ckpt_path=tmp_path / "whole" / "epoch=1.ckpt")
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())
    start = make_module().model.state_dict()
    assert any(not torch.equal(start[name], value) for name, value in whole.items())


def test_lightning_restores_the_arguments_with_a_model_at_hand(trained):
    module, path = trained
    loaded = type(module).load_from_checkpoint(path, model=load_model(path))
    assert dict(loaded.hparams) == dict(module.hparams)
    assert loaded.hparams.label_smoothing == 0.2


def test_raises_on_checkpoint_of_another_shape(trained, make_model, make_data, make_trainer):
    from tc_clip_pl.training import TCCLIPModule

    other = TCCLIPModule(make_model(num_prompt_vectors=6))
    before = {name: p.detach().clone() for name, p in other.named_parameters()}
    with pytest.raises(ValueError, match=r"prompt_vectors of shape .* where this model has"):
        make_trainer().test(other, datamodule=make_data(), ckpt_path=trained[1])
    assert all(torch.equal(p, before[name]) for name, p in other.named_parameters())


def test_check_state_dict_names_the_first_difference():
    with pytest.raises(ValueError, match=r"it has no b \(and 1 more"):
        check_state_dict({"a": torch.zeros(1), "c": torch.zeros(1)}, {"a": torch.zeros(1), "b": torch.zeros(1)})


def test_raises_on_missing_broken_or_foreign_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint file"):
        read_checkpoint(tmp_path / "none.ckpt")
    for name, content in {"empty.ckpt": b"", "text.ckpt": b"this is not a checkpoint"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read"):
            read_checkpoint(tmp_path / name)
    torch.save({"weights": torch.zeros(1)}, tmp_path / "foreign.ckpt")
    with pytest.raises(ValueError, match="not a checkpoint written by"):
        read_checkpoint(tmp_path / "foreign.ckpt")


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_runs_no_code_of_a_file(tmp_path):
    torch.save({"state_dict": {}, "tc_clip": Malicious(tmp_path / "made")}, tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="cannot be read"):
        read_checkpoint(tmp_path / "a.ckpt")
    assert not (tmp_path / "made").exists()


def test_facts_of_a_training(trained):
    facts = read_facts(trained[1])
    assert facts.class_names == ["wave", "jump", "brush hair"] and facts.resumable and facts.global_step == 3
    assert facts.missing == ["the configuration of its run"]  # a Trainer without the command line


def test_facts_are_those_of_the_file_as_it_is_now_whatever_was_done_to_earlier_ones(trained):
    _, path = trained
    facts = read_facts(path)
    facts.model["num_frames"] = 99
    assert read_facts(path).model["num_frames"] != 99
    checkpoint = torch.load(path)
    torch.save(checkpoint | {"global_step": 4}, path)
    assert (facts.global_step, read_facts(path).global_step) == (3, 4)


@pytest.mark.parametrize(("name", "selection"), [("last", "last"), ("best", "best"), ("epoch=3", None)])
def test_name_of_a_checkpoint_tells_its_epoch(name, selection):
    facts = CheckpointFacts(Path(f"{name}.ckpt"), {"clip_sha256": "a"}, ["x"], {"name": "demo"}, 0, 1, True)
    assert facts.selection == selection and facts.missing == []


def test_settings_that_contradict_the_checkpoint_are_refused():
    model = {"tc_layers": [4, 8], "seed_ratio": 0.3}
    facts = CheckpointFacts(Path("last.ckpt"), model, None, None, None, None, False)
    check_settings({"tc_layers": (4, 8), "seed_ratio": None, "newer_option": 1}, facts)
    with pytest.raises(ValueError, match=r"model\.config\.seed_ratio is 0\.5, but last\.ckpt was trained with 0\.3"):
        check_settings({"tc_layers": (4, 8), "seed_ratio": 0.5}, facts)
    facts = CheckpointFacts(Path("last.ckpt"), {"head": "LSTM", "num_frames": 8}, None, None, None, None, False)
    with pytest.raises(ValueError, match=r"^model\.options\.head is meanP, but"):
        check_settings({"head": "meanP"}, facts, "model.options")
    with pytest.raises(ValueError, match=r"^data\.num_frames or model\.options\.num_frames is 4, but"):
        check_settings({"num_frames": 4}, facts, "model.options")


def test_raises_on_truncated_file(trained):
    _, path = trained
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="cannot be read"):
        read_checkpoint(path)
