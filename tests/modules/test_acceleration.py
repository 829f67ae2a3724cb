"""Implementations of the vision encoder: which one is chosen, and that all of them compute the same."""

import copy
import logging
import sys
import sysconfig

import pytest
import torch
from torch._dynamo.utils import counters
from torch.func import functional_call

from tc_clip_pl import TCCLIP
from tc_clip_pl.modules import acceleration
from tc_clip_pl.modules.acceleration import choose_kernels, use_kernels
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.fast_encoder import FastEncoder
from tc_clip_pl.modules.fast_text import FastText
from tests.devices import DEVICE  # also makes the interpreter faster

pytest.importorskip("triton")
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
VISION = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2}
WORDS = {"vocab_size": 99, "eos_token_id": 98, "bos_token_id": 97, "max_position_embeddings": 12}


def build_model(device=CPU, **options):
    torch.manual_seed(0)
    config = TCCLIPConfig(
        vision_config={**VISION, "num_hidden_layers": 4},
        text_config={**TEXT, **WORDS},
        projection_dim=32,
        prompt_token_ids=(1, 2, 3, 4),
        num_frames=3,
        num_context_tokens=8,
        seed_ratio=0.5,
        merges_per_round=9,  # two rounds for the 24 seeds
        **options,
    )
    model = TCCLIP(config)
    for layer in model.vision_model.encoder.layers[1:]:
        if layer.self_attn.local_global_bias is not None:
            torch.nn.init.normal_(layer.self_attn.local_global_bias)
    model.set_class_tokens(torch.tensor([[97, 1, 2, 3, 4, 10 + y, 98] for y in range(3)]))
    return model.to(device)


def random_video(batch=2, device=CPU):
    return torch.randn(batch, 3, 3, 32, 32, generator=torch.Generator().manual_seed(1)).to(device)


def logits_and_gradients(model, video):
    model.zero_grad()
    logits = model(video).logits
    logits.logsumexp(-1).sum().backward()
    return logits.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same(found, expected):
    torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=1e-5)
    scale = max(gradient.norm() for gradient in expected[1].values())
    for name, gradient in expected[1].items():
        # Relative to the largest where a gradient is zero but for rounding, as that of the key bias.
        assert (found[1][name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-6 * scale, name


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"local_global_bias": False}, marks=pytest.mark.slow),
        {"tc_layers": [3]},
        {"aggregation": "bipartite_attention"},
        {"num_deep_prompts": 3},
    ],
    ids=str,
)
def test_kernels_give_the_logits_and_gradients_of_the_plain_model(options):
    model, video = build_model(DEVICE, **options).train(), random_video(1 if options else 2, DEVICE)
    expected = logits_and_gradients(model, video)
    use_kernels(model, "triton")
    assert_same(logits_and_gradients(model, video), expected)


def test_sources_and_attentions_are_those_of_the_plain_model():
    model, video = build_model(DEVICE).eval(), random_video(device=DEVICE)
    with torch.no_grad():
        expected = model(video, return_sources=True, return_attentions=True)
        use_kernels(model, "triton")
        found = model(video, return_sources=True, return_attentions=True)
    for name in ("sources", "attentions"):
        for left, right in zip(getattr(found, name), getattr(expected, name), strict=True):
            torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6)


@pytest.fixture
def compiled_model():
    """A model that is traced as for compilation, and then run as it is: compiling takes minutes on a CPU."""
    torch._dynamo.reset()
    counters.clear()
    logging.getLogger("torch.__trace").disabled = True  # pytest would record every line, which takes minutes
    model = build_model(DEVICE)
    use_kernels(model, "triton")
    model.replays = None
    model.fast_encoder = FastEncoder(model.vision_model, backend="eager")
    model.fast_text = FastText(backend="eager")
    yield model
    torch._dynamo.reset()


@pytest.mark.slow
def test_training_has_graphs_for_three_vision_layers_a_text_layer_and_the_conditioning(compiled_model):
    model, video = compiled_model.train(), random_video(2, DEVICE)
    found = logits_and_gradients(model, video)
    logits_and_gradients(model, video[:1])  # a last smaller batch
    logits_and_gradients(model, video)
    assert counters["stats"]["unique_graphs"] == 5 and not counters["graph_break"]
    use_kernels(model, "plain")
    assert_same(found, logits_and_gradients(model, video))


def test_evaluation_has_graphs_for_the_first_layer_the_last_and_all_between_but_none_for_a_last_smaller_batch(
    compiled_model,
):
    model, video = compiled_model.eval(), random_video(2, DEVICE)
    with torch.no_grad():
        found = model(video).logits
        part = model(video[:1]).logits
        model(video)
        assert counters["stats"]["unique_graphs"] == 3 and not counters["graph_break"]
        use_kernels(model, "plain")
        torch.testing.assert_close(found, model(video).logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(part, found[:1], rtol=1e-5, atol=1e-5)


def test_on_a_cpu_the_encoder_is_compiled_as_a_whole_without_kernels(compiled_model):
    model, video = compiled_model.cpu().train(), random_video()
    use_kernels(model, "compiled")
    assert all(layer.match_tokens is None for layer in model.vision_model.encoder.layers)
    model.fast_encoder = FastEncoder(model.vision_model, as_whole=True, backend="eager")
    model.fast_text = None
    found = logits_and_gradients(model, video)
    assert counters["stats"]["unique_graphs"] == 1 and not counters["graph_break"]
    use_kernels(model, "plain")
    assert_same(found, logits_and_gradients(model, video))


@pytest.mark.slow
def test_other_weights_for_one_call_are_seen_and_then_forgotten(compiled_model):
    model, video = compiled_model.eval(), random_video(device=DEVICE)
    others = {name: 1.3 * parameter.detach() for name, parameter in model.named_parameters()}

    def both():
        with torch.no_grad(), model.separate_class_cache(0.7):
            ensembled = functional_call(model, others, (video,)).logits
        with torch.no_grad():
            return ensembled, model(video).logits

    found = [both(), both()]
    use_kernels(model, "plain")
    for pair in found:
        torch.testing.assert_close(pair, both(), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_compiled_code_gives_the_logits_and_gradients_of_the_plain_model():
    model, video = build_model().train(), random_video()
    expected = logits_and_gradients(model, video)
    use_kernels(model, "compiled")
    assert_same(logits_and_gradients(model, video), expected)


@pytest.mark.slow
def test_a_copy_has_an_encoder_of_its_own_weights():
    model, video = build_model(DEVICE).eval(), random_video(device=DEVICE)
    use_kernels(model, "triton")
    model.fast_encoder = FastEncoder(model.vision_model)
    other = copy.deepcopy(model)
    assert other.fast_encoder.vision_model is other.vision_model
    with torch.no_grad():
        before = model(video).logits
        for parameter in other.vision_model.parameters():
            parameter.zero_()
        assert torch.equal(model(video).logits, before) and not torch.equal(other(video).logits, before)


def test_float64_stays_with_the_plain_version():
    model, video = build_model(DEVICE).double().eval(), random_video(device=DEVICE).double()
    with torch.no_grad():
        expected = model(video).logits
        use_kernels(model, "triton")
        assert torch.equal(model(video).logits, expected)


def test_heads_that_the_kernel_cannot_take_are_attended_plainly():
    vision = {**VISION, "hidden_size": 24, "num_hidden_layers": 2}  # heads of width 12
    options = {"projection_dim": 32, "num_frames": 3, "num_context_tokens": 5, "seed_ratio": 0.5}
    model = TCCLIP(TCCLIPConfig(vision_config=vision, text_config={**TEXT, **WORDS}, **options)).to(DEVICE)
    use_kernels(model, "triton")
    attention = model.vision_model.encoder.layers[1].self_attn
    assert attention.attend_with_context is None and model.vision_model.encoder.layers[1].match_tokens is not None


@pytest.mark.parametrize("capability, fastest", [((9, 0), "compiled"), ((8, 0), "compiled"), ((7, 5), "plain")])
def test_auto_means_compiled_on_a_gpu_that_is_new_enough(monkeypatch, capability, fastest):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_kernels("auto", GPU) == fastest
    assert choose_kernels("auto", CPU) == "plain"


def test_without_triton_auto_is_plain_and_other_choices_say_what_is_missing(monkeypatch):
    monkeypatch.setattr(acceleration, "find_spec", lambda name: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert choose_kernels("auto", GPU) == choose_kernels("plain", GPU) == "plain"
    for kernels in ("triton", "compiled"):
        with pytest.raises(ValueError, match=f"'{kernels}' need Triton, which is not installed: choose plain or auto"):
            choose_kernels(kernels, GPU)


def test_without_a_gpu_triton_kernels_are_refused(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ValueError, match="need a GPU, and the model runs on the CPU: choose compiled, plain or auto"):
        choose_kernels("triton", CPU)


def test_without_a_compiler_or_pythons_headers_a_cpu_compiles_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ValueError, match="need a C\\+\\+ compiler, and there is no no-such-compiler: install it"):
        choose_kernels("compiled", CPU)
    monkeypatch.setenv("CXX", sys.executable)  # it is only looked for
    monkeypatch.setattr(acceleration, "find_spec", lambda name: None)  # no Triton is needed
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(ValueError, match=r"need Python's headers, and there is no Python\.h in .*: install them"):
        choose_kernels("compiled", CPU)
    (tmp_path / "Python.h").touch()
    assert choose_kernels("compiled", CPU) == "compiled"
