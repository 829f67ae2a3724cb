"""The second gradient at weights nearer to CLIP's, for TC-CLIP too."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.strategies import ModelParallelStrategy

from tc_clip_pl.training.objectives.interpolated_weights import InterpolatedWeights

TRAINER = SimpleNamespace(strategy=None)


@pytest.fixture
def batch():
    video = torch.randn(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return SimpleNamespace(video=video, label=torch.tensor([0, 2]), video_id=["a", "b"])


@pytest.fixture
def model(make_model):
    """A TC-CLIP that has moved away from its CLIP."""
    model = make_model().double().train()
    model.set_class_names(["wave", "jump", "brush hair"])
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if parameter.requires_grad and name not in model.new_parameter_names():
                noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
                parameter += 0.02 * noise
    return model


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_gradients_are_those_at_both_weights(model, batch, monkeypatch):
    objective = InterpolatedWeights(max_clip_share=0.5, weight=0.25)
    objective.prepare(model, TRAINER)
    monkeypatch.setattr(torch, "rand", lambda count: torch.full((count,), 0.6))
    state = torch.random.get_rng_state()
    result = objective(model, batch.video, batch, 0.1)
    found = gradients(model, result.loss)

    def plain():
        torch.random.set_rng_state(state)
        logits = model(batch.video).logits
        loss = F.cross_entropy(logits.float(), batch.label, label_smoothing=0.1)
        return loss.item(), logits, gradients(model, loss)

    loss, logits, here = plain()
    clip, new = model.clip_state_dict(), model.new_parameter_names()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and name not in new:
                parameter.lerp_(clip[name].double(), 0.3)
    nearer_loss, _, nearer = plain()
    torch.testing.assert_close(result.logits, logits.float())
    assert result.loss.item() == pytest.approx(loss + 0.25 * nearer_loss, rel=1e-5)
    assert found.keys() == here.keys() and new & found.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, here[name] + 0.25 * nearer[name], rtol=1e-5, atol=1e-7, msg=name)


def test_share_of_clip_is_drawn_anew_between_zero_and_the_largest(model, batch, monkeypatch):
    objective, shares = InterpolatedWeights(), []
    objective.prepare(model, TRAINER)
    monkeypatch.setattr(objective, "_interpolate", lambda model, share: shares.append(share) or {})
    torch.manual_seed(0)
    for _ in range(20):
        objective(model, batch.video, batch, 0.0)
    assert len(set(shares)) == 20 and 0 <= min(shares) < 0.1 and 0.5 < max(shares) <= 0.6


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_trains_tc_clip_and_leaves_no_trace_in_checkpoints(make_module, make_data, make_trainer, tmp_path, precision):
    module = make_module(objective=InterpolatedWeights())
    before = module.model.visual_projection.weight.detach().clone()
    trainer = make_trainer(precision=precision, gradient_clip_val=1.0)
    trainer.fit(module, datamodule=make_data())
    assert not torch.equal(module.model.visual_projection.weight, before)
    assert all(name.startswith("model.") for name in module.state_dict())
    assert sum(len(group["params"]) for group in trainer.optimizers[0].param_groups) == len(
        [p for p in module.model.parameters() if p.requires_grad]
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_clip_share": 0.0}, r"max_clip_share is 0; it must be in \(0, 1\]"),
        ({"max_clip_share": 1.5}, r"max_clip_share is 1.5; it must be in \(0, 1\]"),
        ({"weight": 0.0}, "weight is 0; it must be above 0"),
    ],
)
def test_wrong_numbers_are_one_sentence(settings, message):
    with pytest.raises(ValueError, match=message):
        InterpolatedWeights(**settings)


def test_training_that_would_differ_is_refused(make_model):
    model = make_model()
    sharded = SimpleNamespace(strategy=object.__new__(ModelParallelStrategy))
    with pytest.raises(ValueError, match=r"InterpolatedWeights needs whole weights.*set it to ddp"):
        InterpolatedWeights().prepare(model, sharded)
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="nothing to interpolate"):
        InterpolatedWeights().prepare(model, TRAINER)
    model.config.clip_name_or_path = None
    with pytest.raises(ValueError, match="does not know the CLIP"):
        InterpolatedWeights().prepare(model, TRAINER)


def test_activations_are_not_computed_again_from_other_weights(make_module, make_data, make_trainer):
    module = make_module(objective=InterpolatedWeights(), checkpoint_activations=True)
    with pytest.raises(ValueError, match=r"set model\.checkpoint_activations to false"):
        make_trainer().fit(module, datamodule=make_data())
