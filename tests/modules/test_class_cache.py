"""The class encoding is kept while it holds, and never longer."""

import pytest
import torch


@pytest.fixture
def counted(tiny_model, monkeypatch):
    """The model in evaluation, with a list that grows by each run of the text encoder."""
    runs, encode = [], tiny_model._encode_classes
    monkeypatch.setattr(tiny_model, "_encode_classes", lambda: runs.append(None) or encode())
    return tiny_model.eval(), runs


@torch.no_grad()
def test_encodes_once_for_many_batches(counted, tiny_video):
    model, runs = counted
    first = model(tiny_video).logits
    assert torch.equal(model(tiny_video).logits, first)
    assert len(runs) == 1


def change_in_place(model):
    with torch.no_grad():
        model.text_model.final_layer_norm.weight.neg_()
        model.text_model.encoder.layers[0].self_attn.q_proj.weight.mul_(1.5)


def change_data(model):
    model.text_model.encoder.layers[1].mlp.fc1.weight.data[0, 0] += 1e-3


def change_prompts(model):
    model.prompt_learner.prompt_vectors.data = torch.zeros_like(model.prompt_learner.prompt_vectors)


def load_other_weights(model):
    model.load_state_dict({name: 1.1 * value for name, value in model.state_dict().items()})


def change_classes(model):
    model.set_class_names(["cartwheel", "shake hands", "cartwheel", "ride bike", "draw sword"])


@pytest.mark.parametrize("change", [change_in_place, change_data, change_prompts, load_other_weights, change_classes])
def test_notices_a_change(counted, tiny_video, change):
    model, runs = counted
    with torch.no_grad():
        model(tiny_video)
        change(model)
        cached = model(tiny_video).logits
    assert len(runs) == 2
    torch.testing.assert_close(model(tiny_video).logits.detach(), cached, rtol=0, atol=1e-12)  # with gradient: no cache


@torch.no_grad()
def test_notices_a_cast_and_autocast(counted, tiny_video):
    model, runs = counted
    model(tiny_video)
    model.float()(tiny_video.float())
    with torch.autocast("cpu", torch.bfloat16):
        model(tiny_video.float())
    assert len(runs) == 3


def test_inference_tensors_do_not_leak(counted, tiny_video):
    model, _ = counted
    with torch.inference_mode():
        model(tiny_video)
    with torch.no_grad():
        model(tiny_video)
    model(tiny_video).logits.sum().backward()


def test_training_never_uses_it(counted, tiny_video):
    model, runs = counted
    model.train()
    with torch.no_grad():
        model(tiny_video), model(tiny_video)
    assert len(runs) == 2
