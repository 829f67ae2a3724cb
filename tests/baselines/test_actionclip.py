"""ActionCLIP: equal to the authors' code with every head, started as they do, and its loss over the whole batch."""

import re

import pytest
import torch
from torch import nn

from tc_clip_pl.baselines.actionclip.config import ActionCLIPConfig
from tc_clip_pl.baselines.actionclip.conversion import KEYS, PACKED, convert_state_dict
from tc_clip_pl.baselines.actionclip.heads import HEADS
from tc_clip_pl.baselines.actionclip.model import ActionCLIP
from tc_clip_pl.baselines.actionclip.shift import shift_channels
from tc_clip_pl.baselines.actionclip.templates import TEMPLATES, average_templates
from tc_clip_pl.modules.backbone.interface import backbone_options
from tc_clip_pl.modules.loading import load_clip
from tc_clip_pl.profiling import count_multiply_adds, count_parameters
from tc_clip_pl.training.objectives.batch_kl import BatchKL, symmetric_kl
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
        clip = {re.sub(r"(visual.*resblocks\.\d+)", r"\1.net", name): value for name, value in clip.items()}
    model.load_state_dict(convert_state_dict(clip, drawn(f"{HEAD}{head}/"), model))
    model.set_class_tokens(CASE["expected"]["input_ids"].long().unflatten(0, (len(TEMPLATES), -1)))
    return request.param, model


def batch_logits(model, video_embeds):
    labels, templates = torch.tensor(CASE["labels"]), torch.tensor(CASE["templates"])
    texts = model.encode_classes()[templates, labels]
    return model.logit_scale.exp() * torch.nn.functional.normalize(video_embeds, dim=-1) @ texts.T, labels


def test_outputs_match(variant):
    name, model = variant
    video, expected = weights.make_video(CASE), CASE["expected"]
    output = model(video)
    embeds = model.head(output.frame_embeds)
    logits, labels = batch_logits(model, embeds)
    actual = {
        f"video_embeds/{name}": embeds,
        f"logits_per_video/{name}": logits,
        f"loss/{name}": symmetric_kl(logits, labels),
        f"probabilities/{name}": output.logits.softmax(-1),
    }
    for key, value in actual.items():
        assert relative_error(value, expected[key]) < 1e-4, key
    texts = torch.nn.functional.normalize(expected["class_embeds"], dim=-1)
    assert relative_error(model.encode_classes().flatten(0, 1), texts) < 1e-4
    torch.testing.assert_close(output.logits.exp().sum(-1), torch.ones(CASE["batch"]))


def test_gradients_match(variant):
    name, model = variant
    model.zero_grad()
    symmetric_kl(*batch_logits(model, model.embed_videos(weights.make_video(CASE)))).backward()
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


DESIGNS = [*({"head": head} for head in HEADS), {"head": "meanP", "shift": True}]


@pytest.fixture(params=DESIGNS, ids=lambda design: "-".join(map(str, design.values())))
def design(request):
    return request.param


@pytest.fixture
def make_tiny(tiny_clip_folder):
    def make(**options):
        torch.manual_seed(0)
        return ActionCLIP.from_pretrained(tiny_clip_folder, **{"num_frames": 4, **options})

    return make


def test_size_and_cost_are_those_of_the_paper():
    with torch.device("meta"):
        model = ActionCLIP(ActionCLIPConfig(**backbone_options("openai/clip-vit-base-patch16"), num_frames=32)).eval()
        video, label = torch.empty(1, 32, 3, 224, 224), torch.zeros(1, dtype=torch.int64)
    model.set_blank_classes(1)
    assert count_parameters(model) == 143_277_569
    assert sum(parameter.numel() for parameter in model.head.parameters()) == 18_953_728
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert count_multiply_adds(lambda: model(video, label)) == pytest.approx(566e9, rel=0.01)


def test_only_the_head_differs_from_clip(make_tiny, design, tiny_clip_folder):
    model, clip = make_tiny(**design), load_clip(tiny_clip_folder).state_dict()
    assert {name for name, _ in model.named_parameters()} - clip.keys() == model.new_parameter_names()
    assert all(torch.equal(model.state_dict()[name], value) for name, value in clip.items())


def test_heads_start_as_the_authors_do(make_tiny):
    transf = make_tiny().head
    layer = transf.layers[2]
    for weight in (transf.position_embedding.weight, layer.self_attn.out_proj.weight, layer.mlp.fc2.weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert (6 / 256) ** 0.5 * 0.98 < layer.self_attn.q_proj.weight.abs().max() <= (6 / 256) ** 0.5
    assert not any(p.any() for name, p in transf.named_parameters() if name.endswith("bias"))
    assert layer.layer_norm1.eps == 1e-12

    own = make_tiny(head="Transf_cls").head
    folded = torch.cat(
        [own.cls_token.flatten(), own.position_embedding.flatten(), own.encoder.layers[0].linear1.weight.flatten()]
    )
    assert folded.abs().max() <= 0.04 and folded.std().item() == pytest.approx(0.0169, rel=0.05)
    assert not own.encoder.layers[3].linear2.bias.any() and own.encoder.norm.eps == 1e-5

    lstm = make_tiny(head="LSTM").head.lstm
    assert max(p.abs().max() for p in lstm.parameters()) <= 64**-0.5


def test_convolution_starts_as_a_shift():
    head = HEADS["Conv_1D"](8, 1, 4)
    head.start()
    assert head.shift.weight[:, 0].tolist() == [[1, 0, 0]] * 2 + [[0, 1, 0]] * 4 + [[0, 0, 1]] * 2


def test_shift_takes_channels_from_the_next_frame_and_the_one_before():
    tokens = torch.arange(3 * 2 * 8.0).reshape(1, 3, 2, 8) + 1
    shifted = shift_channels(tokens)
    assert torch.equal(shifted[:, :, 0], tokens[:, :, 0])
    patches, before = shifted[0, :, 1], tokens[0, :, 1]
    assert patches[:, 0].tolist() == [before[1, 0], before[2, 0], 0]
    assert patches[:, 1].tolist() == [0, before[0, 1], before[1, 1]]
    assert torch.equal(patches[:, 2:], before[:, 2:])


def test_scores_are_the_mean_over_templates_of_probabilities():
    cosines = torch.tensor([[[0.30, 0.31], [0.25, 0.22]]])
    expected = (torch.tensor([30.0, 31.0]).softmax(0) + torch.tensor([25.0, 22.0]).softmax(0)) / 2
    torch.testing.assert_close(average_templates(cosines).exp()[0], expected)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_training_step_reaches_every_parameter(make_tiny, design, precision):
    model = make_tiny(**design)
    assert torch.isfinite(train_step(model, BatchKL(), precision))
    assert without_gradient(model) == []


def test_a_saved_model_gives_the_same_scores(make_tiny, design, tiny_video, tmp_path):
    model = make_tiny(**design, templates=["a {}", "{} again"])
    model.save_pretrained(tmp_path)
    again = ActionCLIP.from_pretrained(tmp_path)
    for each in (model, again):
        each.set_class_names(["brush hair", "cartwheel"])
    assert torch.equal(again(tiny_video.float()).logits, model(tiny_video.float()).logits)
    torch.testing.assert_close(again.embed_videos(tiny_video.float()).norm(dim=-1), torch.ones(2))
    assert again.embed_classes().shape == (2, 64)
    assert list(again.config.templates) == ["a {}", "{} again"]


def test_every_template_is_drawn_for_a_video(make_tiny):
    model = make_tiny(templates=["a {}", "{} again", "{}"])
    model.set_class_names(["brush hair", "cartwheel"])
    with torch.no_grad():
        sentences = model.encode_classes()
        drawn = model._embed_sentences(torch.ones(300, dtype=torch.int64))
    nearest = (drawn @ sentences.flatten(0, 1).T).argmax(-1)
    assert torch.bincount(nearest, minlength=6).tolist()[::2] == [0, 0, 0]  # the other class
    assert min(torch.bincount(nearest, minlength=6).tolist()[1::2]) > 70


def test_head_runs_in_full_precision(make_tiny):
    model, seen = make_tiny(), []
    model.head.layers[0].mlp.fc1.register_forward_hook(lambda _, inputs, output: seen.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        assert model._pool_frames(torch.randn(1, 4, 64, dtype=torch.bfloat16)).dtype == torch.float32
    assert seen == [torch.float32]


def test_other_videos_and_choices_are_refused(make_tiny):
    model = make_tiny()
    with pytest.raises(RuntimeError, match="No classes are set"):
        model(torch.zeros(1, 4, 3, 32, 32), torch.tensor([0]))
    model.set_class_names(["cartwheel"])
    assert model(torch.zeros(1, 7, 3, 32, 32)).logits.shape == (1, 1)
    with pytest.raises(ValueError, match="takes at most 77 frames, not 78"):
        model(torch.zeros(1, 78, 3, 32, 32))
    for options in ({"head": "Transf_cls"}, {"shift": True}):
        with pytest.raises(ValueError, match="made for 4 frames, not 7"):
            make_tiny(**options).config.check_num_frames(7)
    with pytest.raises(ValueError, match=r"Class tokens are \(S, Y, L\).*not \(3, 2\)"):
        model.set_class_tokens(torch.tensor([[0, 177]] * 3))
    with pytest.raises(ValueError, match="head is 'transf': choose one of Transf, meanP, LSTM"):
        make_tiny(head="transf")
    for wrong in ("a video", "{} or {}", {}):
        with pytest.raises(ValueError, match=rf"The template {re.escape(repr(wrong))} must be a text with one \{{\}}"):
            make_tiny(templates=["{}", wrong])
    with pytest.raises(ValueError, match="templates is empty"):
        make_tiny(templates=[])
    with pytest.raises(ValueError, match=r"Transf_cls needs a CLIP whose projection_dim \(60\) is a multiple of 8"):
        ActionCLIPConfig(projection_dim=60, head="Transf_cls")


def test_conversion_refuses_the_weights_of_another_head():
    model = ActionCLIP(ActionCLIPConfig(**clip_sizes(CASE), head="LSTM"))
    clip, head = drawn(CLIP), drawn(f"{HEAD}Transf/")
    with pytest.raises(ValueError, match=r"lacks 4 needed weights \('head.lstm.bias_hh_l0'"):
        convert_state_dict(clip, head, model)
    with pytest.raises(
        ValueError, match=r"1 unknown weight \('fusion.extra'\): pass a published ActionCLIP checkpoint"
    ):
        convert_state_dict(clip, {**drawn(f"{HEAD}LSTM/"), "extra": nn.Parameter()}, model)
