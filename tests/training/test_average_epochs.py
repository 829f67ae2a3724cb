"""The mean over epochs: which weights it holds when, in memory and in checkpoints, also after an interruption."""

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint

from tc_clip_pl.training import load_model
from tc_clip_pl.training.average_epochs import AverageEpochs
from tests.parity.baselines.openvclip_etc_weights import load_case, make_tensor


class Record(Callback):
    """Keeps the weights as trained, before `AverageEpochs` puts the mean in their place."""

    def __init__(self):
        self.ends, self.starts, self.validated = [], [], []

    def on_train_epoch_end(self, trainer, pl_module):
        self.ends.append(copy(pl_module.model))

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == 0:
            self.starts.append(copy(pl_module.model))

    def on_validation_end(self, trainer, pl_module):
        self.validated.append(copy(pl_module.model))


def copy(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(found, expected):
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)


def mean(states):
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}


@pytest.fixture
def fit(make_module, make_data, make_trainer, tmp_path):
    def fit(epochs, folder="run", average=None, **kwargs):
        record, average = Record(), average or AverageEpochs()
        saver = ModelCheckpoint(tmp_path / folder, "{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
        module = make_module()
        trainer = make_trainer(record, average, saver, max_epochs=epochs, enable_checkpointing=True)
        trainer.fit(module, datamodule=make_data(), **kwargs)
        return module, record, tmp_path / folder

    return fit


def test_mean_is_tested_and_saved_while_training_goes_on(fit):
    module, record, folder = fit(4)
    assert_same(copy(module.model), mean(record.ends[1:]))
    assert any(not torch.equal(record.ends[1][name], value) for name, value in record.ends[3].items())
    for epoch in range(4):
        expected = record.ends[0] if epoch == 0 else mean(record.ends[1 : epoch + 1])
        assert_same(load_model(folder / f"epoch={epoch}.ckpt").state_dict(), expected)
        assert_same(record.validated[epoch], record.ends[epoch])
    for epoch in range(1, 4):
        assert_same(record.starts[epoch], record.ends[epoch - 1])


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_resumed_run_ends_with_the_same_mean(fit, epoch):
    whole, _, folder = fit(4)
    resumed, record, _ = fit(4, "resumed", ckpt_path=folder / f"epoch={epoch}.ckpt")
    assert len(record.ends) == 3 - epoch
    assert_same(copy(resumed.model), copy(whole.model))


def test_a_test_loads_the_mean(fit, make_module, make_data, make_trainer):
    module, _, folder = fit(3)
    other = make_module()
    make_trainer(AverageEpochs()).test(other, datamodule=make_data(), ckpt_path=folder / "epoch=2.ckpt", verbose=False)
    assert_same(copy(other.model), copy(module.model))


def test_parity_with_the_reference(fit):
    case = load_case("openvclip")
    model = torch.nn.Module()
    model.weight = torch.nn.Parameter(torch.empty(case["average_shape"]))
    model.clear_class_cache = lambda: None
    module, average = torch.nn.Module(), AverageEpochs()
    module.model = model
    for epoch, seed in enumerate([case["clip_seed"], *case["average_seeds"]]):  # the first epoch does not count
        trainer = type("Trainer", (), {"current_epoch": epoch})
        average.on_train_epoch_start(trainer, module)
        with torch.no_grad():
            model.weight.copy_(make_tensor(seed, "input/checkpoint", tuple(case["average_shape"])))
        average.on_train_epoch_end(trainer, module)
    torch.testing.assert_close(model.weight.data, case["expected"]["averaged"])


def test_wrong_settings_are_one_sentence(fit):
    with pytest.raises(ValueError, match="first_epoch is 0; it must be at least 1"):
        AverageEpochs(0)
    with pytest.raises(ValueError, match="training ends with epoch 1, and first_epoch is 2"):
        fit(1)
