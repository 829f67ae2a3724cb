"""Contrastive pre-training: the loss by hand, and a CLIP that learns from a few steps."""

import math

import pytest
import torch
import torch.nn.functional as F

from datamodules.synthetic.caption_data_module import CaptionDataModule
from datamodules.synthetic.captions import QUESTIONS, candidates, vocabulary_texts
from tc_clip_pl.checkpoints.tiny_clip import build_random_clip, make_tiny_tokenizer, tiny_clip_config
from tc_clip_pl.training.pretraining import MAX_LOGIT_SCALE, ContrastivePretraining, contrastive_loss


@pytest.fixture(scope="module")
def tokenize():
    tokenizer = make_tiny_tokenizer(vocabulary_texts())

    def tokenize(texts):
        return tokenizer(texts, return_tensors="pt", padding=True)["input_ids"]

    tokenize.tokenizer = tokenizer
    return tokenize


@pytest.fixture
def make_pretraining(tokenize):
    def make(**options):
        clip = build_random_clip(tiny_clip_config(tokenize.tokenizer, image_size=16, width=32))
        return ContrastivePretraining(clip, {q: tokenize(candidates(q)) for q in QUESTIONS}, warmup_steps=2, **options)

    return make


@pytest.fixture(scope="module")
def data(tokenize):
    return CaptionDataModule(tokenize, num_scenes=320, held_out=64, batch_size=32, image_size=16)


def test_loss_of_orthogonal_pairs():
    # Two pairs that match perfectly and are orthogonal to the other: logits [[s, 0], [0, s]].
    embeddings, scale = torch.eye(2), torch.tensor(math.log(3.0))
    assert contrastive_loss(embeddings, embeddings, scale).item() == pytest.approx(math.log(1 + math.exp(-3)))
    assert contrastive_loss(embeddings, embeddings.flip(0), scale).item() == pytest.approx(math.log(1 + math.exp(3)))


def test_loss_is_symmetric_and_averages_both_directions():
    generator = torch.Generator().manual_seed(0)
    images, texts = (F.normalize(torch.randn(5, 4, generator=generator), dim=-1) for _ in range(2))
    scale = torch.tensor(1.0)
    logits = scale.exp() * images @ texts.T
    expected = -(logits.log_softmax(1).diagonal() + logits.log_softmax(0).diagonal()).mean() / 2
    assert torch.allclose(contrastive_loss(images, texts, scale), expected)
    assert torch.allclose(contrastive_loss(texts, images, scale), expected)


def test_learns_in_a_few_steps(make_pretraining, make_trainer, data):
    module, losses = make_pretraining(lr=2e-3), []
    step = module.training_step
    module.training_step = lambda *args: losses.append(step(*args)) or losses[-1]
    make_trainer(max_epochs=-1, max_steps=20).fit(module, datamodule=data)
    assert sum(losses[-5:]) / 5 < sum(losses[:5]) / 5 - 0.2


def test_held_out_accuracy_is_that_of_the_nearest_caption(make_pretraining, make_trainer, data, tokenize):
    module = make_pretraining()
    trainer = make_trainer()
    trainer.validate(module, datamodule=data, verbose=False)
    (batch,) = data.val_dataloader()
    pixels = data.on_after_batch_transfer(batch, 0).pixels
    for column, question in enumerate(QUESTIONS):
        asked = batch.answers[:, column] >= 0
        with torch.no_grad():
            logits = module.clip(tokenize(candidates(question)), pixels).logits_per_image
        expected = (logits.argmax(-1) == batch.answers[:, column])[asked].float().mean()
        assert 0 < asked.sum() < 64
        assert torch.allclose(trainer.callback_metrics[f"val/{question}"], expected)


def test_temperature_stays_within_bounds(make_pretraining):
    module = make_pretraining()
    for value, expected in ((9.0, MAX_LOGIT_SCALE), (-1.0, 0.0), (2.0, 2.0)):
        torch.nn.init.constant_(module.clip.logit_scale, value)
        module.on_train_batch_end()
        assert module.clip.logit_scale.item() == pytest.approx(expected)


def test_loss_that_is_not_finite_ends_the_training(make_pretraining, make_trainer, data):
    module = make_pretraining()
    torch.nn.init.constant_(module.clip.visual_projection.weight, float("nan"))
    with pytest.raises(ValueError, match="not finite in step 1: lower the learning rate"):
        make_trainer(max_epochs=-1, max_steps=2).fit(module, datamodule=data)


def test_vectors_are_not_decayed_and_the_rate_rises_and_falls(make_pretraining, make_trainer, data):
    module = make_pretraining(lr=1e-2)
    rates = []
    module.on_train_batch_start = lambda *_: rates.append(module.optimizers().param_groups[0]["lr"])
    make_trainer(max_epochs=-1, max_steps=6).fit(module, datamodule=data)
    groups = module.optimizers().param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert {p.ndim > 1 for p in groups[0]["params"]} == {True}
    assert {p.ndim > 1 for p in groups[1]["params"]} == {False}
    assert rates[0] == pytest.approx(5e-3)
    assert rates[-1] < rates[3] < rates[1]
