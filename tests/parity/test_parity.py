"""Three small cases that the reference implementation computed from the same seeded weights.

They run with one and with two threads: threads change the order of summation, and with it rounding, but no merge.
"""

import importlib.util
from pathlib import Path

import pytest
import torch

from tc_clip_pl import load_official_state_dict
from tc_clip_pl.checkpoints.official import convert_state_dict

spec = importlib.util.spec_from_file_location("parity_weights", Path(__file__).parent / "weights.py")
weights = importlib.util.module_from_spec(spec)
spec.loader.exec_module(weights)


@pytest.fixture(
    scope="module",
    params=[pytest.param(1, id="one thread"), pytest.param(2, id="two threads", marks=pytest.mark.slow)],
)
def num_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=["tiny", "tiny_nobias", "tiny_joint"])
def case(request, num_threads):
    """A case with the model's output and parameters after one backward pass."""
    case = weights.load_case(request.param)
    case["state_dict"] = weights.make_state_dict(case)
    model = load_official_state_dict(
        case["state_dict"],
        num_frames=case["frames"],
        seed_ratio=case["seed_ratio"],
        num_context_tokens=case["context_tokens"],
        merges_per_round=case["merges_per_round"],
        positional_embedding=case["positional_embedding"],
    )
    model.set_class_tokens(case["expected"]["input_ids"].long())
    case["output"] = model(weights.make_video(case), return_sources=True, return_attentions=True)
    labels = torch.arange(case["batch"]) % len(case["class_names"])
    torch.nn.functional.cross_entropy(case["output"].logits, labels).backward()
    case["parameters"] = dict(model.named_parameters())
    return case


def relative_error(actual, expected):
    return ((actual - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("name", ["logits", "frame_embeds", "video_embeds", "context_tokens"])
def test_output_matches(case, name):
    assert relative_error(case["output"][name], case["expected"][name]) < 1e-4


def test_sources_match_exactly(case):
    assert torch.equal(case["output"].sources[-1], case["expected"]["source_last"].bool())


def test_cls_attention_matches(case):
    expected = case["expected"]["attention_cls_last"]
    actual = case["output"].attentions[-1][:, :, :, 0, : expected.shape[-1]].flatten(0, 1)
    assert relative_error(actual, expected) < 1e-4


def test_gradient_norms_match(case):
    norms = {key.removeprefix("grad_norm/"): value for key, value in case["expected"].items() if "grad_norm/" in key}
    assert len(norms) > 50
    rounding = 1e-6 * max(norms.values())  # the softmax ignores a key bias, whose gradient is rounding alone
    for name, expected in norms.items():
        converted = convert_state_dict({name: case["state_dict"][name]})
        gradients = [case["parameters"][key].grad for key in converted]
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        assert abs(norm - expected) <= 1e-3 * expected + rounding, name
