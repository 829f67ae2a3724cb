"""Open-VCLIP against the outputs and gradients of its authors' code."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from tc_clip_pl.modules.backbone.interface import backbone_options
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.ops.interpolation import interpolate_state_dicts
from tc_clip_pl.profiling import count_cost
from tc_clip_pl.training.objectives.interpolated_weights import InterpolatedWeights
from tests.baselines.whole_clip_cases import (
    OPEN_VCLIP,
    build,
    check_gradients,
    names_of,
    relative_error,
    save_clip,
    weights,
)


@pytest.fixture
def case():
    case = weights.load_case("openvclip")
    return {**case, "video": weights.make_video(case), "label": torch.tensor(case["labels"])}


@pytest.fixture
def model(case):
    model = build(case, prompting="template_ensemble").train()
    model.freeze(["text"])
    model.set_class_tokens(case["expected"]["input_ids"].long())
    return model


def test_outputs_match(case, model):
    output, expected = model(case["video"]), case["expected"]
    assert relative_error(output.text_embeds, expected["classifier"]) < 1e-4
    assert relative_error(output.frame_embeds, expected["frame_embeds"]) < 1e-4
    assert relative_error(output.logits, expected["logits"]) < 1e-4


def test_first_layer_matches(case, model):
    first = model.vision_model.encoder.layers[0]
    kept = {}
    first.self_attn.register_forward_hook(lambda module, args, output: kept.update(attention=output))
    first.register_forward_hook(lambda module, args, output: kept.update(block=output.hidden_states))
    model(case["video"])
    assert relative_error(kept["attention"][:1], case["expected"]["attention_0"]) < 1e-4
    assert relative_error(kept["block"][:1], case["expected"]["block_0"]) < 1e-4


def test_plain_gradients_match(case, model):
    loss = F.cross_entropy(model(case["video"]).logits, case["label"])
    loss.backward()
    assert relative_error(loss, case["expected"]["loss"]) < 1e-4
    check_gradients(case, dict(model.named_parameters()), kind="_plain")


@pytest.fixture
def batch(case):
    return SimpleNamespace(label=case["label"], video_id=["a", "b", "c"])


@pytest.fixture
def interpolated(case, model, tmp_path, monkeypatch):
    """The objective of Open-VCLIP, which draws the share of CLIP that the reference drew."""
    model.config.clip_name_or_path = str(save_clip(case, tmp_path))
    objective = InterpolatedWeights(max_clip_share=0.6, weight=case["loss_ratio"])
    objective.prepare(model, SimpleNamespace(strategy=None))
    monkeypatch.setattr(torch, "rand", lambda count: torch.tensor([case["interpolation"] / 0.6]).expand(count))
    return objective


def test_interpolated_gradients_match(case, model, batch, interpolated):
    interpolated(model, case["video"], batch, 0.0).loss.backward()
    parameters, expected = dict(model.named_parameters()), case["expected"]
    check_gradients(case, parameters)
    for name in ("logit_scale", "visual.class_embedding", "visual.ln_post.weight"):
        assert relative_error(parameters[names_of(case, name)[0]].grad, expected[f"grad/{name}"]) < 1e-4
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), case["clip_grad_norm"])
    assert relative_error(norm, expected["total_grad_norm_clipped"]) < 1e-4
    clipped = parameters["vision_model.embeddings.class_embedding"].grad
    assert relative_error(clipped, expected["grad_clipped/visual.class_embedding"]) < 1e-4


def test_weights_are_averaged_with_clip_as_in_the_reference(case):
    expected, ratio = case["expected"], case["patching_ratio"]
    clip = weights.make_tensor(case["clip_seed"], "input/checkpoint", tuple(case["average_shape"]))
    found = interpolate_state_dicts({"weight": clip}, {"weight": expected["averaged"]}, 1 - ratio)["weight"]
    torch.testing.assert_close(found, expected["patched"])


def test_every_parameter_is_one_of_clip_and_the_vision_side_is_trained():
    """B/16 has the 124.3 M parameters of Table 6 without token embeddings, and for 16 frames 308 G multiply-adds."""
    config = TCCLIPConfig(
        **backbone_options("openai/clip-vit-base-patch16"), **OPEN_VCLIP, num_frames=16,
        prompting="template_ensemble", class_templates=["{}"],
    )  # fmt: skip
    cost = count_cost(config)
    assert round(cost.parameters / 1e6, 1) == 124.3
    assert cost.total == pytest.approx(308e9, rel=5e-3)
    with torch.device("meta"):
        model = TCCLIP(config)
    assert not model.new_parameter_names()
    model.freeze(["text"])
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name.partition(".")[0] for name in trained} == {"vision_model", "visual_projection", "logit_scale"}


def test_saved_model_scores_the_same(case, model, tmp_path):
    model.eval().save_pretrained(tmp_path)
    loaded = TCCLIP(TCCLIPConfig.from_pretrained(tmp_path))
    loaded.load_state_dict(load_file(tmp_path / "model.safetensors"))
    loaded.set_class_tokens(case["expected"]["input_ids"].long())
    torch.testing.assert_close(loaded.eval()(case["video"]).logits, model(case["video"]).logits)
