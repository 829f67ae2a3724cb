"""Evaluation encodes the classes once, and again after anything that changes the encoding."""

import copy

import pytest
import torch

from tc_clip_pl.training.weight_ensembling import write_parameters


@pytest.fixture
def counted(tiny_model, monkeypatch):
    """The model in evaluation mode, with a list that grows by one per run of the text encoder."""
    runs, encode = [], tiny_model._encode_classes
    monkeypatch.setattr(tiny_model, "_encode_classes", lambda: runs.append(None) or encode())
    return tiny_model.eval(), runs


@torch.no_grad()
def test_encodes_once_for_many_batches(counted, tiny_video):
    model, runs = counted
    first = model(tiny_video).logits
    assert torch.equal(model(tiny_video).logits, first)
    assert len(runs) == 1


def write_ensembled_weights(model):
    """As `WeightSpaceEnsemble` does: in place, without gradient."""
    names = ("text_model.final_layer_norm.weight", "text_model.encoder.layers.0.self_attn.q_proj.weight")
    write_parameters(model, {name: -1.5 * model.get_parameter(name) for name in names})


def load_other_weights(model):
    model.load_state_dict({name: 1.1 * value for name, value in model.state_dict().items()})


def load_other_prompts(model):
    vectors = torch.zeros_like(model.prompt_learner.prompt_vectors)
    model.load_state_dict({"prompt_learner.prompt_vectors": vectors}, strict=False)


def load_through_a_wrapper(model):
    """As FSDP does: `load_state_dict` of a module that holds the model."""
    wrapper = torch.nn.ModuleDict({"model": model})
    wrapper.load_state_dict({name: 1.1 * value for name, value in wrapper.state_dict().items()})


def write_by_hand(model):
    model.text_model.encoder.layers[1].mlp.fc1.weight.data[0, 0] += 1e-3
    model.clear_class_cache()


def train_one_step(model):
    """As the Trainer does after validating in the middle of an epoch."""
    model.train()
    optimizer = torch.optim.SGD(model.prompt_learner.parameters(), lr=1.0)
    with torch.enable_grad():
        model(torch.randn(1, 4, 3, 32, 32, dtype=torch.float64)).logits.logsumexp(-1).sum().backward()
    model.eval()
    optimizer.step()


def step_in_evaluation_mode(model):
    optimizer = torch.optim.SGD(model.prompt_learner.parameters(), lr=1.0)
    with torch.enable_grad():
        model(torch.randn(1, 4, 3, 32, 32, dtype=torch.float64)).logits.logsumexp(-1).sum().backward()
    optimizer.step()


def change_classes(model):
    model.set_class_names(["cartwheel", "shake hands", "cartwheel", "ride bike", "draw sword"])


CHANGES = [
    write_ensembled_weights,
    load_other_weights,
    load_other_prompts,
    load_through_a_wrapper,
    write_by_hand,
    train_one_step,
    step_in_evaluation_mode,
    change_classes,
]


@pytest.mark.parametrize("change", CHANGES)
def test_encodes_again_after_a_change(counted, tiny_video, change):
    model, runs = counted
    with torch.no_grad():
        before = model(tiny_video).logits
        change(model)
        runs.clear()
        after = model(tiny_video).logits
    assert len(runs) == 1
    assert not torch.equal(after, before)
    torch.testing.assert_close(model(tiny_video).logits.detach(), after, rtol=0, atol=1e-12)  # with gradient: no cache


@torch.no_grad()
def test_a_step_after_an_evaluation_is_seen_in_the_next_one(counted, tiny_video):
    """Gradients from before an evaluation, applied after it."""
    model, runs = counted
    model.train()
    optimizer = torch.optim.SGD(model.prompt_learner.parameters(), lr=1.0)
    with torch.enable_grad():
        model(tiny_video).logits.logsumexp(-1).sum().backward()
    model.eval()
    before = model(tiny_video).logits
    model.train()
    optimizer.step()
    model.eval()
    runs.clear()
    assert not torch.equal(model(tiny_video).logits, before)
    assert len(runs) == 1


@pytest.mark.parametrize("move", [lambda m: m.to("cpu"), lambda m: m.half().double(), lambda m: m.float().double()])
@torch.no_grad()
def test_encodes_again_after_a_move_or_a_cast(counted, tiny_video, move):
    model, runs = counted
    model(tiny_video)
    move(model)(tiny_video)
    assert len(runs) == 2


@torch.no_grad()
def test_autocast_has_its_own_encoding(counted, tiny_video):
    model, runs = counted
    video, model = tiny_video.float(), model.float()
    plain = model(video).logits
    with torch.autocast("cpu", torch.bfloat16):
        model(video), model(video)
    assert torch.equal(model(video).logits, plain)
    assert len(runs) == 3


def test_inference_tensors_stay_in_inference_mode(counted, tiny_video):
    model, runs = counted
    with torch.inference_mode():
        model(tiny_video)
    with torch.no_grad():
        model(tiny_video)
    assert len(runs) == 2
    model(tiny_video).logits.sum().backward()


def test_training_mode_never_reads_it(counted, tiny_video):
    model, runs = counted
    model.train()
    with torch.no_grad():
        model(tiny_video), model(tiny_video)
    assert len(runs) == 2


@torch.no_grad()
def test_other_weights_have_their_own_encoding(counted, tiny_video):
    model, runs = counted
    name = "text_model.final_layer_norm.weight"
    others = {factor: {name: factor * model.get_parameter(name)} for factor in (-1.5, 0.5)}

    def run_with(factor):
        with model.separate_class_cache(factor):
            return torch.func.functional_call(model, others[factor], (tiny_video,)).logits

    first = model(tiny_video).logits
    expected = {}
    for factor, tensors in others.items():
        expected[factor] = run_with(factor)
        model.clear_class_cache()
        assert torch.equal(torch.func.functional_call(model, tensors, (tiny_video,)).logits, expected[factor])
        model.clear_class_cache()
    runs.clear()
    for _ in range(2):
        assert torch.equal(model(tiny_video).logits, first)
        assert all(torch.equal(run_with(factor), expected[factor]) for factor in others)
    assert len(runs) == 3
    change_classes(model)  # drops all of them
    assert run_with(0.5).shape[1] == 5


def test_an_error_returns_to_the_own_encoding(counted):
    model, _ = counted
    with pytest.raises(ZeroDivisionError), model.separate_class_cache("others"):
        raise ZeroDivisionError
    assert model._class_cache._weights is None


@torch.no_grad()
def test_a_copy_clears_its_own_encoding(tiny_model, tiny_video):
    tiny_model(tiny_video)
    twin = copy.deepcopy(tiny_model)
    load_other_weights(twin)
    assert not twin._class_cache._entries and tiny_model._class_cache._entries
