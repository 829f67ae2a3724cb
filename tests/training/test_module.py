"""The LightningModule: losses, class names, logged metrics, and which parameters learn."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback
from torch import distributed

from tc_clip_pl.modules.acceleration import use_kernels
from tc_clip_pl.modules.replays import Replays
from tc_clip_pl.training.finite_loss import FiniteLoss
from tc_clip_pl.training.logged_scalars import SpeedMonitor
from tc_clip_pl.training.progress import LiveProgress
from tc_clip_pl.training.training_metrics import TrainingMetrics
from tests.devices import DEVICE, HostReads, needs_gpu


@pytest.mark.parametrize("soft", [False, True])
def test_training_loss_is_smoothed_cross_entropy(make_module, make_data, make_trainer, soft):
    module, losses = make_module(label_smoothing=0.1, learning_rate=1e-12), []

    class Spy(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            losses.append((float(outputs["loss"]), expected(pl_module, batch)))

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if soft:
                batch.label = 0.7 * F.one_hot(batch.label, 3).float() + 0.3 * F.one_hot((batch.label + 1) % 3, 3)

    @torch.no_grad()
    def expected(pl_module, batch):
        logits = pl_module.model(batch.video[:, 0]).logits
        target = batch.label if soft else F.one_hot(batch.label, 3).float()
        return float(-((0.9 * target + 0.1 / 3) * logits.log_softmax(-1)).sum(-1).mean())

    make_trainer(Spy(), limit_val_batches=0).fit(module, datamodule=make_data())
    assert losses
    for loss, plain in losses:
        assert loss == pytest.approx(plain, abs=1e-4)


@needs_gpu
@pytest.mark.parametrize("strategy", ["auto", "ddp"])
def test_a_step_never_waits_for_the_gpu(make_module, make_data, make_trainer, strategy):
    checked = []

    class Strict(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            torch.cuda.set_sync_debug_mode("error" if batch_idx > 2 else "default")  # kernels are compiled in the first

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            checked.append(torch.cuda.get_sync_debug_mode())
            torch.cuda.set_sync_debug_mode("default")

    module = make_module(kernels="triton")
    module.optimizer = partial(module.optimizer, fused=True)
    trainer = make_trainer(
        FiniteLoss(3), SpeedMonitor(), Strict(), accelerator="gpu", devices=1, strategy=strategy, limit_val_batches=0
    )
    try:
        trainer.fit(module, datamodule=make_data(num_clips=28))
    finally:
        torch.cuda.set_sync_debug_mode("default")
        if distributed.is_initialized():
            distributed.destroy_process_group()
    assert checked == [0, 0, 0, 2, 2, 2, 2]


def test_nothing_after_a_backward_pass_waits_for_a_gpu(make_module, make_data, make_trainer):
    found = []

    class Watch(Callback):  # until the next batch starts: Lightning reads metrics after the last callback
        def on_after_backward(self, trainer, pl_module):
            self.reads = HostReads().__enter__()

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if batch_idx:
                self.reads.__exit__(None, None, None)
                found.append(self.reads.found)

        def on_train_epoch_end(self, trainer, pl_module):
            self.reads.__exit__(None, None, None)

    module = make_module()
    module.optimizer = partial(module.optimizer, fused=True)
    trainer = make_trainer(SpeedMonitor(), LiveProgress(), Watch(), enable_progress_bar=True, limit_val_batches=0)
    trainer.fit(module, datamodule=make_data())
    assert found == [[], []]


def test_everything_but_the_token_embeddings_learns(make_module, make_data, make_trainer):
    module = make_module()
    before = {name: p.detach().clone() for name, p in module.model.named_parameters()}
    make_trainer(max_epochs=2, limit_val_batches=0).fit(module, datamodule=make_data())
    same = {name for name, p in module.model.named_parameters() if torch.equal(p, before[name])}
    assert same == {"text_model.embeddings.token_embedding.weight"}


def test_a_run_leaves_a_model_with_plain_kernels(make_module, make_data, make_trainer):
    module = make_module()
    make_trainer(limit_train_batches=1, limit_val_batches=0).fit(module, datamodule=make_data())
    use_kernels(module.model.to(DEVICE), "triton")
    module.model.replays = Replays()
    module.teardown("fit")
    assert module.model.replays is None
    assert all(layer.match_tokens is None for layer in module.model.vision_model.encoder.layers)


def test_learns_the_mean_of_each_class(make_module, make_data, make_trainer):
    trainer = make_trainer(max_epochs=8)
    trainer.fit(make_module(), datamodule=make_data())
    metrics = trainer.logged_metrics
    assert metrics["val/top1"] > 0.9
    assert {"train/loss_epoch", "train/top1_epoch", "val/loss", "val/top1", "val/top5"} <= metrics.keys()
    assert metrics["val/top5"] == 1.0


def test_model_is_in_training_mode_while_training_only(make_module, make_data, make_trainer):
    modes = {}

    class Spy(Callback):
        def on_train_batch_start(self, trainer, pl_module, *_):
            modes["train"] = pl_module.model.training

        def on_validation_batch_start(self, trainer, pl_module, *_):
            modes["val"] = pl_module.model.training

    make_trainer(Spy()).fit(make_module(), datamodule=make_data())
    assert modes == {"train": True, "val": False}


def test_batch_without_clips_gives_zero_loss_and_gradients(make_module):
    module = make_module()
    module.train_metrics = torch.nn.ModuleDict({"step": TrainingMetrics()})
    module.model.set_class_names(["wave", "jump"])
    loss = module.training_step(SimpleNamespace(video=torch.zeros(0, 1, 4, 3, 32, 32), label=torch.zeros(0)), 0)
    loss.backward()
    assert loss.item() == 0.0
    assert module.train_metrics["step"].compute() == {"loss": 0.0, "top1": 0.0}
    assert all(p.grad is not None and not p.grad.any() for p in module.parameters() if p.requires_grad)


def test_raises_without_class_names_or_end(make_module, make_data, make_trainer):
    with pytest.raises(ValueError, match="class_names"):
        make_trainer().test(make_module(), dataloaders=make_data().test_dataloader())
    with pytest.raises(ValueError, match="needs an end"):
        make_trainer(max_epochs=-1).fit(make_module(), datamodule=make_data())


def test_warns_if_the_warmup_takes_the_whole_training(make_module, make_data, make_trainer):
    with pytest.warns(UserWarning, match="warm-up of 5 epochs"):
        make_trainer(limit_val_batches=0).fit(make_module(warmup_epochs=5), datamodule=make_data())
