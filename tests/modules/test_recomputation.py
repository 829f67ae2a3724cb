"""Recomputed activations: the same gradients, from the same choices of tokens."""

from collections import Counter

import pytest
import torch
from torch._dynamo.utils import counters
from torch.utils._python_dispatch import TorchDispatchMode

from tc_clip_pl.modules.acceleration import use_kernels
from tc_clip_pl.modules.fast_encoder import FastEncoder
from tc_clip_pl.modules.fast_text import FastText
from tc_clip_pl.modules.recomputation import recompute_activations
from tc_clip_pl.training.module import TCCLIPModule
from tests.devices import DEVICE
from tests.modules.test_acceleration import assert_same, build_model, logits_and_gradients, random_video

NUM_LAYERS = 4 + 2  # vision and text


class OperatorCount(TorchDispatchMode):
    """Counts the operators that run, in both passes."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        self.calls[operator.name()] += 1
        return operator(*args, **(kwargs or {}))


def count_operators(model, video):
    with OperatorCount() as count:
        found = logits_and_gradients(model, video)
    return found, count.calls


@pytest.mark.parametrize(
    "options", [{}, {"tc_layers": [3]}, {"aggregation": "bipartite_attention"}, {"seed_selection": "ats"}], ids=str
)
def test_gradients_are_the_same(options):
    model, video = build_model(**options).train().double(), random_video().double()
    torch.manual_seed(5)  # `ats` draws
    expected = logits_and_gradients(model, video)
    TCCLIPModule(model, checkpoint_activations=True)
    torch.manual_seed(5)
    found = logits_and_gradients(model, video)
    assert all(layer.gradient_checkpointing for layer in model.vision_model.encoder.layers)
    for name, gradient in expected[1].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-10, atol=1e-10)


def test_matching_and_attention_run_once_and_the_rest_twice():
    model, video = build_model().train(), random_video()
    _, before = count_operators(model, video)
    recompute_activations(model)
    _, after = count_operators(model, video)
    attention = "aten::_scaled_dot_product_flash_attention_for_cpu"
    for name in (attention, "aten::topk", "aten::sort.stable", "aten::scatter_add_"):
        assert after[name] == before[name] > 0, name
    assert after["aten::silu"] >= before["aten::silu"] + NUM_LAYERS  # of the MLP
    assert after["aten::native_layer_norm"] >= before["aten::native_layer_norm"] + 2 * NUM_LAYERS


def test_choices_that_would_differ_are_those_of_the_forward_pass():
    model, video = build_model().train().double(), random_video().double()
    calls = []
    for number, layer in enumerate(model.vision_model.encoder.layers):
        aggregate = layer.aggregate

        def flipped_when_recomputed(seeds, count, rounds, aggregate=aggregate, number=number):
            grouping = aggregate(seeds, count, rounds)
            grouping.groups = grouping.groups.flip(-1) if number in calls else grouping.groups
            calls.append(number)
            return grouping

        layer.aggregate = flipped_when_recomputed
    expected = logits_and_gradients(model, video)
    calls.clear()
    recompute_activations(model)
    found = logits_and_gradients(model, video)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-10, atol=1e-10)
    assert len(calls) == len(set(calls))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_training_matches_once_too(backend, monkeypatch):
    matching = pytest.importorskip("tc_clip_pl.kernels.matching")
    torch._dynamo.reset()
    counters.clear()
    calls, match = [], matching._replayed
    monkeypatch.setattr(matching, "_replayed", lambda *arguments: calls.append(1) or match(*arguments))
    model, video = build_model(DEVICE).train(), random_video(device=DEVICE)
    expected = logits_and_gradients(model, video)
    use_kernels(model, "triton")
    recompute_activations(model)
    model.fast_encoder = FastEncoder(model.vision_model, backend=backend)
    model.fast_text = FastText(backend=backend)
    assert_same(logits_and_gradients(model, video), expected)
    assert len(calls) == 4 and not counters["graph_break"]
    for batch in (video[:1], video):  # a last smaller batch, and the next epoch
        logits_and_gradients(model, batch)
    assert counters["stats"]["unique_graphs"] == 5
