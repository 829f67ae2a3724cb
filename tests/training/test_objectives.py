"""What a training step minimizes, and what is averaged over views."""

import pytest
import torch
from torch import nn

from tc_clip_pl.training.objectives.base import Objective, StepResult
from tc_clip_pl.training.objectives.cross_entropy import CrossEntropy


class Pull(Objective):
    """Pulls frame embeddings to a learned point; it scores no classes."""

    scores_classes = False

    def __init__(self):
        super().__init__()
        self.point, self.prepared = nn.Parameter(torch.zeros(())), 0

    def prepare(self, model, trainer):
        self.prepared += 1
        self.accumulation = trainer.accumulate_grad_batches

    def forward(self, model, video, batch, label_smoothing):
        self.refuse_soft_targets(batch.label)
        frames = model(video).frame_embeds
        return StepResult((frames - self.point - 1).square().mean(), None)


def test_an_objective_of_ones_own_trains_the_model_and_its_own_parameters(make_module, make_data, make_trainer):
    module = make_module(objective=Pull())
    before = module.model.visual_projection.weight.detach().clone()
    trainer = make_trainer(limit_val_batches=0)
    trainer.fit(module, datamodule=make_data())
    assert module.objective.prepared == 1 and module.objective.accumulation == trainer.accumulate_grad_batches
    assert module.objective.point.item() != 0
    assert not torch.equal(module.model.visual_projection.weight, before)
    assert trainer.logged_metrics["train/loss_epoch"] > 0 and "train/top1_epoch" not in trainer.logged_metrics


def test_without_clips_its_parameters_get_a_zero_gradient(make_module):
    module = make_module(objective=Pull())
    module.model.set_class_names(["wave"])
    batch = type("Empty", (), {"video": torch.zeros(0, 1, 4, 3, 32, 32), "label": torch.zeros(0)})
    module.training_step(batch, 0).backward()
    assert module.objective.point.grad.item() == 0


def test_mixed_labels_are_refused_where_they_mean_nothing():
    with pytest.raises(ValueError, match=r"Pull compares whole clips.*mix_probability to 0"):
        Pull().refuse_soft_targets(torch.zeros(2, 3))
    Pull().refuse_soft_targets(torch.zeros(2))


def test_cross_entropy_is_the_default(make_module):
    assert isinstance(make_module().objective, CrossEntropy)


@pytest.mark.parametrize("views_per_forward", [1, 3])
def test_views_are_averaged_as_probabilities_or_as_logits(make_module, views_per_forward):
    video = torch.randn(2, 3, 4, 3, 32, 32)
    found = {}
    for view_mean in ("probability", "logit"):
        module = make_module(view_mean=view_mean, views_per_forward=views_per_forward).eval()
        module.model.set_class_names(["wave", "jump"])
        with torch.no_grad():
            logits = torch.stack([module.model(view).logits for view in video.unbind(1)])
            found[view_mean] = module(video)
    torch.testing.assert_close(found["probability"], logits.softmax(-1).mean(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found["logit"], logits.mean(0).softmax(-1), rtol=1e-4, atol=1e-5)
