"""A5: equal to the authors' code, around a CLIP that stays as it is, and of one number of frames."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from tc_clip_pl.baselines.a5.config import A5Config
from tc_clip_pl.baselines.a5.conversion import CLIP_PREFIX, NAMES, convert_a5
from tc_clip_pl.baselines.a5.model import A5
from tc_clip_pl.baselines.a5.prompt_table import surround_names
from tc_clip_pl.baselines.conversion import split_names
from tc_clip_pl.modules.backbone.interface import backbone_options
from tests.baselines.reference import (
    assert_gradient_norms,
    clip_sizes,
    load_weights_module,
    names_that_two_steps_change,
    relative_error,
)

weights = load_weights_module("xclip_etc_weights")
CLASS_NAMES = ["brush hair", "cartwheel", "something else"]


@pytest.fixture(scope="module", params=["temporal", "mean"])
def run(request):
    """A variant of the reference case, with the output and the gradients of our model."""
    case, variant = weights.load_case("a5"), request.param
    options = case["variants"][variant]
    config = A5Config(
        **clip_sizes(case),
        num_prefix_vectors=options["prefix"],
        num_postfix_vectors=options["postfix"],
        num_temporal_layers=case["temporal_layers"] * options["temporal"],
    )
    drawn = weights.make_state_dict(case)
    if not options["temporal"]:
        drawn = {name: value for name, value in drawn.items() if not name.startswith("temporal")}
    model = A5(config).train()
    model.load_state_dict(convert_a5(drawn, config))
    model.set_class_tokens(case["expected"]["input_ids"].long())
    video = weights.make_video(case)
    output = model(video)
    loss = cross_entropy(output.logits, torch.tensor(case["labels"]))
    loss.backward()
    return SimpleNamespace(**locals(), expected=case["expected"])


@pytest.fixture
def model(tiny_clip_folder):
    torch.manual_seed(0)
    model = A5.from_pretrained(tiny_clip_folder, num_frames=4)
    model.set_class_names(CLASS_NAMES)
    return model


def test_outputs_match(run):
    frames = run.output.frame_embeds
    pooled = frames.mean(1) if run.model.temporal is None else run.model.temporal(frames)
    actual = {
        "frame_embeds": frames,
        f"logits/{run.variant}": run.output.logits,
        f"loss/{run.variant}": run.loss,
        f"video_embeds/{run.variant}": pooled,
        f"text_embeds/{run.variant}": run.output.text_embeds,
    }
    for name, value in actual.items():
        assert relative_error(value, run.expected[name]) < 1e-4, name
    torch.testing.assert_close(run.output.video_embeds, normalize(pooled, dim=-1))
    torch.testing.assert_close(run.model.embed_videos(run.video), run.output.video_embeds)
    torch.testing.assert_close(run.model.embed_classes(), run.output.text_embeds)


def test_gradients_match(run):
    prefix, parameters = f"grad_norm/{run.variant}/", dict(run.model.named_parameters())
    expected = {name.removeprefix(prefix): norm for name, norm in run.expected.items() if name.startswith(prefix)}
    found = {
        name: [parameters[ours].grad for ours in split_names({name: run.drawn[name]}, NAMES, CLIP_PREFIX)[0]]
        for name in expected
    }
    assert_gradient_norms(expected, found)
    assert {ours for ours, p in parameters.items() if p.grad is not None} == run.model.new_parameter_names()


def test_the_rows_of_the_table_that_act_are_those_of_the_authors(run):
    rows, expected = run.model.prompt_table.grad.double().norm(dim=1), run.expected[f"grad_rows/{run.variant}"]
    assert torch.equal(rows == 0, expected == 0)
    assert relative_error(rows, expected) < 1e-3


def test_the_postfix_shifts_by_the_length_of_the_name():
    table, tokens = torch.arange(12.0)[:, None], torch.tensor([[100, 101, 102, 103.0], [100, 104, 103, 0]])[..., None]
    found = surround_names(table, tokens, torch.tensor([3, 2]), num_prefix=2, num_postfix=3).squeeze(-1)
    assert found[0].tolist() == [100, 1, 2, 101, 102, 5, 6, 7, 103]
    assert found[1, :8].tolist() == [100, 1, 2, 104, 4, 5, 6, 103]  # what follows EOS has no effect


@pytest.mark.parametrize(("layers", "total", "trained"), [(1, 127.5e6, 3.2e6), (2, 130.7e6, 6.35e6)])
def test_parameters_are_as_many_as_published(layers, total, trained):
    with torch.device("meta"):
        model = A5(A5Config(**backbone_options("openai/clip-vit-base-patch16"), num_temporal_layers=layers))
    sizes = {name: p.numel() for name, p in model.named_parameters() if "token_embedding" not in name}
    assert sum(sizes.values()) == pytest.approx(total, rel=1e-3)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == pytest.approx(trained, rel=1e-3)


def test_it_starts_from_small_tables_and_the_defaults_of_pytorch(model):
    attn, width = model.temporal.layers[0].self_attn, model.config.projection_dim
    assert model.prompt_table.std().item() == pytest.approx(0.01, rel=0.1)
    assert model.temporal.position_table.std().item() == pytest.approx(0.01, rel=0.2)
    assert attn.in_proj_weight.abs().max().item() == pytest.approx((6 / (4 * width)) ** 0.5, rel=0.01)  # packed Xavier
    bound = width**-0.5
    assert model.temporal.layers[0].linear1.bias.abs().max().item() == pytest.approx(bound, rel=0.1)
    assert attn.in_proj_bias.eq(0).all()


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_step_trains_what_is_new_and_nothing_else(model, tiny_video, precision):
    changed = names_that_two_steps_change(model, tiny_video, precision)
    assert changed == model.new_parameter_names()


def test_saved_and_loaded_it_is_the_same(model, tiny_video, tmp_path):
    model.save_pretrained(tmp_path / "saved")
    loaded = A5.from_pretrained(tmp_path / "saved")
    loaded.set_class_names(CLASS_NAMES)
    with torch.no_grad():
        assert torch.equal(loaded(tiny_video.float()).logits, model(tiny_video.float()).logits)
    assert {name for name, p in loaded.named_parameters() if p.requires_grad} == loaded.new_parameter_names()
    with pytest.raises(ValueError, match=r"made for 4 frames, not 8: set data\.num_frames to 4"):
        A5.from_pretrained(tmp_path / "saved", num_frames=8)


def test_other_videos_are_refused(model, tiny_clip_folder):
    with pytest.raises(ValueError, match="made for 4 frames, not 8"):
        model(torch.zeros(1, 8, 3, 32, 32))
    with pytest.raises(ValueError, match=r"takes videos of shape \(B, T, 3, 32, 32\)"):
        model(torch.zeros(4, 3, 32, 32))
    mean = A5.from_pretrained(tiny_clip_folder, num_frames=4, num_temporal_layers=0)
    mean.set_class_names(CLASS_NAMES)
    assert mean(torch.zeros(1, 8, 3, 32, 32)).logits.shape == (1, 3)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"num_frames": 0}, "num_frames is 0: give a positive whole number"),
        ({"num_postfix_vectors": -1}, "num_postfix_vectors is -1"),
        ({"num_temporal_layers": -1}, "num_temporal_layers is -1"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"num_prefix_vectors": 59}, "leave no room for a class name in the text encoder's 77 tokens"),
        ({"projection_dim": 100}, "8 heads, and this CLIP's projection_dim of 100"),
    ],
)
def test_numbers_that_make_no_model_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        A5Config(**options)


def test_a_name_longer_than_the_text_encoder_is_refused(model):
    with pytest.raises(ValueError, match="shorten it"):
        model.set_class_names(["x" * 46])


def test_other_checkpoints_are_refused(run):
    with pytest.raises(ValueError, match=r"1 unknown weight \('head.weight'\): pass a published A5 checkpoint"):
        convert_a5({**run.drawn, "head.weight": torch.zeros(1)}, run.config)
    without = {name: value for name, value in run.drawn.items() if name != "embedding.weight"}
    with pytest.raises(ValueError, match=r"lacks 1 needed weight \('prompt_table'\)"):
        convert_a5(without, run.config)
