"""Distillation from a frozen CLIP, for TC-CLIP too; `tests/baselines/test_froster.py` has its numbers."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import ModelParallelStrategy

from tc_clip_pl import TCCLIP
from tc_clip_pl.modules.loading import load_clip
from tc_clip_pl.training.objectives.clip_distillation import ClipDistillation, ResidualProjection
from tc_clip_pl.training.objectives.interpolated_weights import InterpolatedWeights

TRAINER = SimpleNamespace(strategy=None)
NAMES = ["wave", "jump", "brush hair"]


def test_projection_starts_as_what_it_gets():
    project, embeds = ResidualProjection(8, ratio=0.1), torch.randn(3, 8)
    assert torch.equal(project(embeds), embeds)
    torch.nn.init.eye_(project.second.weight)
    torch.nn.init.eye_(project.first.weight)
    torch.testing.assert_close(project(embeds), embeds + 0.1 * torch.nn.functional.gelu(embeds))


def test_teacher_is_the_clip_of_the_model(make_model, tiny_clip):
    model, objective = make_model(), ClipDistillation()
    model.set_class_names(NAMES)
    objective.prepare(model, TRAINER)
    clip, video = load_clip(str(tiny_clip)).eval(), torch.randn(2, 4, 3, 32, 32)
    images, texts = objective.teach(video, model.class_input_ids)
    with torch.no_grad():
        frames = clip.visual_projection(clip.vision_model(pixel_values=video.flatten(0, 1)).pooler_output)
        words = clip.text_projection(clip.text_model(input_ids=model.class_input_ids).pooler_output)
    torch.testing.assert_close(images.flatten(0, 1), frames)
    torch.testing.assert_close(texts, torch.nn.functional.normalize(words, dim=-1))
    assert not images.requires_grad and not texts.requires_grad


def test_loss_of_an_untrained_frame_wise_clip_is_cross_entropy(tiny_clip):
    model = TCCLIP.from_pretrained(tiny_clip, reference_tokens="none", prompting="template").train()
    model.set_class_names(NAMES)
    objective, video = ClipDistillation(), torch.randn(2, 4, 3, 32, 32)
    objective.prepare(model, TRAINER)
    batch = SimpleNamespace(label=torch.tensor([0, 2]), video_id=["a", "b"])
    loss, logits = objective(model, video, batch, 0.0)
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, batch.label), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("wrap", [lambda objective: objective, InterpolatedWeights], ids=["alone", "interpolated"])
def test_trains_tc_clip_and_its_projections_but_not_the_teacher(
    make_module, make_data, make_trainer, tmp_path, precision, wrap
):
    distillation = ClipDistillation()
    module = make_module(objective=wrap(distillation))
    trainer = make_trainer(precision=precision, gradient_clip_val=1.0)
    trainer.fit(module, datamodule=make_data())
    assert distillation.project_image.second.weight.abs().sum() > 0
    assert distillation.project_text.second.weight.abs().sum() > 0
    teacher = {id(parameter) for parameter in distillation._teacher[0].parameters()}
    assert not teacher & {id(parameter) for parameter in module.parameters()}
    clip = load_clip(module.model.config.clip_name_or_path).state_dict()
    assert all(torch.equal(value, clip[name]) for name, value in distillation._teacher[0].state_dict().items())
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    # A test has no use for the projections, whether its objective has any or not.
    for objective in (wrap(ClipDistillation()), None):
        other = make_module(objective=objective)
        make_trainer().test(other, datamodule=make_data(), ckpt_path=tmp_path / "last.ckpt", verbose=False)
        assert torch.equal(other.model.visual_projection.weight, module.model.visual_projection.weight)


def test_a_resumed_run_ends_with_the_same_projections(make_module, make_data, make_trainer, tmp_path):
    def fit(folder, seed, **kwargs):
        saver = ModelCheckpoint(tmp_path / folder, "{epoch}", save_top_k=-1, save_on_train_epoch_end=True)
        module = make_module(objective=ClipDistillation())
        torch.manual_seed(seed)  # of the start of the projections
        make_trainer(saver, max_epochs=3, enable_checkpointing=True).fit(module, datamodule=make_data(), **kwargs)
        return module.objective.state_dict()

    whole = fit("whole", seed=1)
    resumed = fit("resumed", seed=2, ckpt_path=tmp_path / "whole" / "epoch=1.ckpt")
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_wrong_settings_are_one_sentence(make_model):
    with pytest.raises(ValueError, match="weight is 0; it must be above 0"):
        ClipDistillation(weight=0)
    with pytest.raises(ValueError, match="residual is -1; it must be at least 0"):
        ClipDistillation(residual=-1)
    model = make_model()
    with pytest.raises(ValueError, match=r"ClipDistillation needs whole weights.*set it to ddp"):
        ClipDistillation().prepare(model, SimpleNamespace(strategy=object.__new__(ModelParallelStrategy)))
    model.config.clip_sha256 = "0" * 64
    with pytest.raises(ValueError, match="holds another CLIP"):
        ClipDistillation().prepare(model, TRAINER)
    model.config.clip_name_or_path = None
    with pytest.raises(ValueError, match=r"needs the CLIP of the model: set `config.clip_name_or_path`"):
        ClipDistillation().prepare(model, TRAINER)
