"""X-CLIP: equal to the authors' code, started and frozen as they do, and of one number of frames."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from tc_clip_pl.baselines.xclip.config import XCLIPConfig
from tc_clip_pl.baselines.xclip.conversion import KEYS, convert_state_dict
from tc_clip_pl.baselines.xclip.model import XCLIP
from tests.baselines.reference import (
    assert_gradient_norms,
    clip_sizes,
    load_weights_module,
    published_gradients,
    relative_error,
)

weights = load_weights_module("xclip_etc_weights")


def build(case):
    model = XCLIP(XCLIPConfig(**clip_sizes(case))).eval()
    model.load_state_dict(convert_state_dict(weights.make_state_dict(case), model))
    model.set_class_tokens(case["expected"]["input_ids"].long())
    return model


@pytest.fixture(scope="module")
def case():
    return weights.load_case("xclip")


@pytest.fixture
def model(case):
    return build(case)


def gradients(case, model, loss, variant):
    """(published name -> norm, published name -> our gradients) of a loss."""
    loss.backward()
    prefix = f"grad_norm/{variant}/"
    expected = {k.removeprefix(prefix): v for k, v in case["expected"].items() if k.startswith(prefix)}
    drawn = weights.make_state_dict(case)
    found = {name: published_gradients(model, KEYS, name, value) for name, value in drawn.items()}
    found = {name: grads for name, grads in found.items() if grads[0] is not None}
    return expected, found


def test_outputs_match(case, model):
    seen = {}
    model.prompts_generator.register_forward_hook(lambda _, inputs, output: seen.update(memory=inputs[1], own=output))
    output, expected = model(weights.make_video(case)), case["expected"]
    actual = {
        "logits": output.logits,
        "loss": cross_entropy(output.logits, torch.tensor(case["labels"])),
        "loss_soft": cross_entropy(output.logits, torch.tensor(case["soft_targets"])),
        "frame_embeds": output.frame_embeds,
        "video_embeds": output.video_embeds,
        "class_embeds": model.embed_classes(),
        "prompt_visual": seen["memory"],
        "prompts": seen["own"],
        "text_embeds": normalize(output.text_embeds, dim=-1),
    }
    names = {name for name in expected if not name.startswith("grad_norm") and name != "input_ids"}
    assert actual.keys() == names
    for name, value in actual.items():
        assert relative_error(value, expected[name]) < 1e-4, name
    torch.testing.assert_close(model.embed_videos(weights.make_video(case)), output.video_embeds)


def test_gradients_match_with_everything_trained(case, model):
    model.requires_grad_(True)
    loss = cross_entropy(model(weights.make_video(case)).logits, torch.tensor(case["labels"]))
    assert_gradient_norms(*gradients(case, model, loss, "all"))


def test_gradients_match_with_the_text_encoder_frozen(case, model):
    loss = cross_entropy(model.train()(weights.make_video(case)).logits, torch.tensor(case["soft_targets"]))
    assert_gradient_norms(*gradients(case, model, loss, "text_frozen"))
