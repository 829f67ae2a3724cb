"""X-CLIP: equal to the authors' code, started and frozen as they do, and of one number of frames."""

from functools import partial

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from tc_clip_pl.baselines.xclip.config import XCLIPConfig
from tc_clip_pl.baselines.xclip.conversion import KEYS, convert_state_dict
from tc_clip_pl.baselines.xclip.model import XCLIP
from tc_clip_pl.modules.backbone.interface import backbone_options
from tc_clip_pl.modules.loading import load_clip
from tc_clip_pl.profiling import count_multiply_adds, count_parameters
from tc_clip_pl.training import TCCLIPModule
from tests.baselines.reference import (
    assert_gradient_norms,
    clip_sizes,
    load_weights_module,
    published_gradients,
    relative_error,
    train_step,
    without_gradient,
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


@pytest.fixture
def tiny(tiny_clip_folder):
    torch.manual_seed(0)
    return XCLIP.from_pretrained(tiny_clip_folder, num_frames=4)


@pytest.fixture
def base():
    """X-CLIP B/16 of 16 frames, without memory."""
    with torch.device("meta"):
        model = XCLIP(XCLIPConfig(**backbone_options("openai/clip-vit-base-patch16"))).eval()
        model.class_input_ids = torch.zeros(1, 77, dtype=torch.int64)
    return model


def test_size_and_cost_are_those_of_the_paper(base):
    assert count_parameters(base) == 169_636_353
    assert sum(p.numel() for p in base.parameters() if p.requires_grad) == 131_505_152
    video = torch.empty(1, 16, 3, 224, 224, device="meta")
    base.requires_grad_(True)  # counts the texts too, which a frozen encoder encodes once
    assert count_multiply_adds(lambda: base(video)) == pytest.approx(287e9, rel=0.01)


def test_only_new_parameters_differ_from_clip(tiny, tiny_clip_folder):
    clip, new = load_clip(tiny_clip_folder).state_dict(), tiny.new_parameter_names()
    for name, value in tiny.state_dict().items():
        assert name in new or torch.equal(value, clip[name]), name
    assert all("message_" in name or name.startswith(("mit.", "prompts_")) for name in new)
    assert tiny.prompting_parameter_names() == new


def test_new_parameters_start_as_the_authors_do(tiny):
    width, embed = 64, 64
    layer, integration = tiny.vision_model.encoder.layers[1], tiny.mit.encoder.layers[0]
    uniform = {
        layer.message_fc.weight: width**-0.5,
        layer.message_attn.out_proj.weight: width**-0.5,
        layer.message_attn.k_proj.weight: (6 / (4 * width)) ** 0.5,
        integration.self_attn.v_proj.weight: (6 / (4 * embed)) ** 0.5,
    }
    for weight, bound in uniform.items():
        assert bound * 0.98 < weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    block = tiny.prompts_generator.decoder[1]
    normal = {
        tiny.mit.position_embedding: 0.02,
        integration.self_attn.out_proj.weight: 0.02,
        integration.mlp.fc1.weight: 0.02,
        block.cross_attn.q_proj.weight: 0.02,
        block.cross_attn.proj.weight: 0.02,
        block.mlp[3].weight: 0.02,
        tiny.prompts_visual_projection: 1.0,
    }
    for weight, std in normal.items():
        assert weight.std().item() == pytest.approx(std, rel=0.1)
    assert (tiny.prompts_generator.alpha == 0.1).all()
    for name, parameter in tiny.named_parameters():
        if name in tiny.new_parameter_names() and name.endswith("bias") and "message_fc" not in name:
            assert not parameter.any(), name


def test_text_encoder_and_temperature_stay_frozen_after_saving_too(tiny, tmp_path):
    tiny.save_pretrained(tmp_path)
    for model in (tiny, XCLIP.from_pretrained(tmp_path)):
        frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
        text = {name for name, _ in model.named_parameters() if name.startswith(("text_model.", "text_projection."))}
        assert frozen == text | {"logit_scale"}


def test_a_saved_model_gives_the_same_scores(tiny, tmp_path, tiny_video):
    tiny.save_pretrained(tmp_path)
    again = XCLIP.from_pretrained(tmp_path)
    for model in (tiny, again):
        model.set_class_names(["brush hair", "cartwheel"])
    assert torch.equal(again(tiny_video.float()).logits, tiny(tiny_video.float()).logits)
    assert again.config.num_frames == 4 and set(again.clip_state_dict()) < set(again.state_dict())


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_training_step_reaches_every_trained_parameter(tiny, precision):
    assert torch.isfinite(train_step(tiny, precision=precision))
    assert without_gradient(tiny) == []


def test_vectors_and_positions_have_no_decay_and_new_parameters_ten_times_the_rate(tiny):
    optimizer = TCCLIPModule(tiny, partial(torch.optim.AdamW, lr=1.0, weight_decay=0.1)).configure_optimizers()
    found = {}
    for group in optimizer["optimizer"].param_groups:
        found |= {id(parameter): (group["lr"], group["weight_decay"]) for parameter in group["params"]}
    names = {name: found[id(parameter)] for name, parameter in tiny.named_parameters() if parameter.requires_grad}
    assert names["vision_model.encoder.layers.0.mlp.fc1.weight"] == (1.0, 0.1)
    assert names["vision_model.encoder.layers.0.mlp.fc1.bias"] == (1.0, 0.0)
    assert names["vision_model.embeddings.position_embedding.weight"] == (1.0, 0.0)
    assert names["vision_model.encoder.layers.0.message_fc.weight"] == (10.0, 0.1)
    assert names["mit.position_embedding"] == names["prompts_generator.alpha"] == (10.0, 0.0)


def test_frozen_texts_are_encoded_once_for_each_list_of_names(tiny, tiny_video):
    calls = []
    tiny.text_model.register_forward_hook(lambda *_: calls.append(1))
    tiny.train()
    tiny.set_class_names(["brush hair", "cartwheel"])
    first = tiny(tiny_video.float()).logits
    assert torch.equal(tiny(tiny_video.float()).logits, first) and len(calls) == 1
    tiny.set_class_names(["cartwheel", "brush hair"])
    torch.testing.assert_close(tiny(tiny_video.float()).logits, first.flip(1))
    assert len(calls) == 2
    with torch.no_grad():
        tiny.text_projection.weight.requires_grad_(True)
    assert tiny(tiny_video.float()).logits.requires_grad and tiny(tiny_video.float()).text_embeds.requires_grad
    assert len(calls) == 4


def test_class_names_are_encoded_without_a_template(tiny):
    tiny.set_class_names(["brush hair"])
    assert tiny.class_input_ids.tolist() == tiny.tokenizer(["brush hair"])["input_ids"]


def test_other_videos_and_sizes_are_refused(tiny, tiny_clip_folder):
    tiny.set_class_names(["cartwheel"])
    with pytest.raises(ValueError, match=r"X-CLIP was made for 4 frames, not 8: set data.num_frames to 4, or"):
        tiny(torch.zeros(1, 8, 3, 32, 32))
    with pytest.raises(ValueError, match=r"\(B, T, 3, 32, 32\), not \(4, 3, 32, 32\)"):
        tiny(torch.zeros(4, 3, 32, 32))
    with pytest.raises(ValueError, match="num_frames is 0"):
        XCLIP.from_pretrained(tiny_clip_folder, num_frames=0)
    with pytest.raises(ValueError, match=r"projection_dim \(193\) divides into 3 attention heads"):
        XCLIPConfig(projection_dim=193)


def test_conversion_refuses_unknown_missing_and_other_weights(case, model):
    published = weights.make_state_dict(case)
    with pytest.raises(ValueError, match=r"1 unknown weight \('extra'\): pass a published X-CLIP checkpoint"):
        convert_state_dict({**published, "extra": torch.zeros(1)}, model)
    with pytest.raises(ValueError, match=r"lacks 1 needed weight \('prompts_generator.alpha'\)"):
        convert_state_dict({k: v for k, v in published.items() if k != "prompts_generator.alpha"}, model)
    with pytest.raises(ValueError, match=r"of another X-CLIP: mit.position_embedding is \(1, 8, 192\)"):
        convert_state_dict({**published, "mit.positional_embedding": torch.zeros(1, 8, 192)}, model)
