"""ActionCLIP's loss over the pairs of a batch: by hand, with TC-CLIP, and what it refuses."""

from types import SimpleNamespace

import pytest
import torch

from tc_clip_pl.training.objectives.batch_kl import BatchKL, symmetric_kl


def test_loss_by_hand():
    logits, label = torch.tensor([[2.0, 1.0, 0.5], [0.0, 3.0, 1.0], [1.0, 0.0, 2.0]]), torch.tensor([4, 7, 4])
    e = torch.tensor(10.0).exp()
    target = torch.stack(
        [torch.stack([e, e * 0 + 1, e]) / (2 * e + 1), torch.stack([e * 0 + 1, e, e * 0 + 1]) / (e + 2)]
    )
    target = target[[0, 1, 0]]
    rows = sum((target[i] * (target[i].log() - logits[i].log_softmax(0))).sum() for i in range(3)) / 3
    columns = sum((target[i] * (target[i].log() - logits[:, i].log_softmax(0))).sum() for i in range(3)) / 3
    torch.testing.assert_close(symmetric_kl(logits, label), (rows + columns) / 2)
    assert symmetric_kl(10.0 * (label[:, None] == label), label).abs() < 1e-6
    assert symmetric_kl(torch.zeros(0, 0), label[:0]) == 0


def test_tc_clip_can_be_trained_with_it(make_module, make_data, make_trainer):
    module = make_module(objective=BatchKL(), label_smoothing=0.0)
    before = module.model.visual_projection.weight.detach().clone()
    make_trainer(limit_val_batches=0).fit(module, datamodule=make_data())
    assert not torch.equal(module.model.visual_projection.weight, before)


def test_texts_of_the_samples_are_the_columns(make_module):
    module = make_module().eval()
    module.model.set_class_names(["wave", "jump"])
    video, label = torch.randn(3, 4, 3, 32, 32), torch.tensor([1, 0, 1])
    result = BatchKL()(module.model, video, SimpleNamespace(label=label), 0.0)
    logits = module.model(video).logits
    torch.testing.assert_close(result.loss, symmetric_kl(logits[:, label], label))
    torch.testing.assert_close(result.logits, logits)


def test_without_clips_every_parameter_gets_a_zero_gradient(make_module):
    model = make_module().model
    model.set_class_names(["wave", "jump"])
    batch = SimpleNamespace(label=torch.zeros(0, dtype=torch.int64))
    result = BatchKL()(model, torch.zeros(0, 4, 3, 32, 32), batch, 0.0)
    result.loss.backward()
    assert result.loss == 0 and len(result.logits) == 0
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in trained)


def test_accumulated_mixed_and_smoothed_batches_are_refused(make_module, make_data, make_trainer):
    module = make_module(objective=BatchKL(), label_smoothing=0.0)
    with pytest.raises(ValueError, match=r"BatchKL compares all clips of an optimizer step, and 2 batches are accumul"):
        make_trainer(accumulate_grad_batches=2).fit(module, datamodule=make_data())
    batch = SimpleNamespace(label=torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"mix_probability to 0"):
        BatchKL()(module.model, torch.zeros(2, 4, 3, 32, 32), batch, 0.0)
    with pytest.raises(ValueError, match=r"set model.label_smoothing to 0"):
        BatchKL()(module.model, torch.zeros(2, 4, 3, 32, 32), SimpleNamespace(label=torch.tensor([0, 1])), 0.1)
