"""ActionCLIP: equal to the authors' code with every head, started as they do, and its loss over the whole batch."""

import pytest
import torch

from tc_clip_pl.baselines.actionclip.config import ActionCLIPConfig
from tc_clip_pl.baselines.actionclip.conversion import KEYS, PACKED, convert_state_dict
from tc_clip_pl.baselines.actionclip.model import ActionCLIP
from tc_clip_pl.training.objectives.batch_kl import symmetric_kl
from tests.baselines.reference import (
    assert_gradient_norms,
    clip_sizes,
    load_weights_module,
    published_gradients,
    relative_error,
)

weights = load_weights_module("xclip_etc_weights")
CASE = weights.load_case("actionclip")
CLIP, HEAD = "model_state_dict/", "fusion_model_state_dict/"


def drawn(prefix):
    return {k.removeprefix(prefix): v for k, v in weights.make_state_dict(CASE).items() if k.startswith(prefix)}


@pytest.fixture(scope="module", params=CASE["variants"])
def variant(request):
    """A variant's name and its model."""
    is_shift = request.param == "shift"
    head = "meanP" if is_shift else request.param
    model = ActionCLIP(ActionCLIPConfig(**clip_sizes(CASE), head=head, shift=is_shift)).eval()
    clip = drawn(CLIP)
    if is_shift:
        clip = {
            name.replace("visual.transformer.resblocks.0.", "visual.transformer.resblocks.0.net."): value
            for name, value in clip.items()
        }
    model.load_state_dict(convert_state_dict(clip, drawn(f"{HEAD}{head}/"), model))
    model.set_class_tokens(CASE["expected"]["input_ids"].long())
    return request.param, model


def batch_logits(model, video_embeds):
    labels, templates = torch.tensor(CASE["labels"]), torch.tensor(CASE["templates"])
    texts = model.encode_classes()[templates, labels]
    return model.logit_scale.exp() * torch.nn.functional.normalize(video_embeds, dim=-1) @ texts.T, labels


def test_outputs_match(variant):
    name, model = variant
    video, expected = weights.make_video(CASE), CASE["expected"]
    output = model(video)
    embeds = model._pool(output.frame_embeds)
    logits, labels = batch_logits(model, embeds)
    actual = {
        f"video_embeds/{name}": embeds,
        f"logits_per_video/{name}": logits,
        f"loss/{name}": symmetric_kl(logits, labels),
        f"probabilities/{name}": output.logits.softmax(-1),
    }
    for key, value in actual.items():
        assert relative_error(value, expected[key]) < 1e-4, key


def test_gradients_match(variant):
    name, model = variant
    model.zero_grad()
    symmetric_kl(*batch_logits(model, model._pool(model._encode_frames(weights.make_video(CASE))))).backward()
    prefix = f"grad_norm/{name}/"
    expected = {k.removeprefix(prefix): v for k, v in CASE["expected"].items() if k.startswith(prefix)}
    drawn_weights, found = weights.make_state_dict(CASE), {}
    for key in expected:
        part, _, own = key.partition("/")
        value = drawn_weights[key.replace(".net.", ".")]
        if part == "fusion_model_state_dict":
            own = f"fusion.{own.partition('/')[2]}"
        found[key] = gradients_of(model, own.replace(".net.", "."), value)
    assert_gradient_norms(expected, found)


def gradients_of(model, own, value):
    if own.startswith(f"fusion.{PACKED}"):
        return [model.get_parameter(own.replace(f"fusion.{PACKED}", "head.encoder.")).grad]
    return published_gradients(model, KEYS, own, value)
