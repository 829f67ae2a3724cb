"""Deep prompts of TC-CLIP: the frames attend to them in every layer, and nothing else in the model changes."""

import pytest
import torch
from transformers import CLIPModel

from tc_clip_pl import TCCLIP
from tc_clip_pl.checkpoints.export import VideoSide
from tc_clip_pl.modules.backbone.interface import call_layer
from tc_clip_pl.ops.deep_prompts import append_prompts, replace_last, run_prompted

NAMES = ["brush hair", "cartwheel"]


@pytest.fixture
def make(tiny_clip_folder):
    def make(**options):
        torch.manual_seed(0)
        options = {"num_context_tokens": 6, "merges_per_round": 4, **options}
        model = TCCLIP.from_pretrained(tiny_clip_folder, num_frames=4, **options).double()
        model.set_class_names(NAMES)
        return model

    return make


def prompts_of(model):
    return [layer.deep_prompts for layer in model.vision_model.encoder.layers]


def frame_wise(make, **options):
    options = {"num_context_tokens": 96, "merges_per_round": 100, **options}
    return make(reference_tokens="none", prompting="template", **options)


def test_frames_see_what_tokens_replaced_in_every_layer_would_give(make, tiny_clip_folder, tiny_video):
    model = frame_wise(make, num_deep_prompts=3)
    clip = CLIPModel.from_pretrained(tiny_clip_folder, dtype=torch.float64).vision_model.eval()
    prompts = torch.stack(prompts_of(model))
    tokens = append_prompts(clip.pre_layrnorm(clip.embeddings(tiny_video.flatten(0, 1))), prompts[0])
    layers = (lambda tokens, layer=layer: call_layer(layer, tokens, None) for layer in clip.encoder.layers)
    states = run_prompted(layers, tokens, prompts, replace_last)
    expected = clip.post_layernorm(states[:, 0]).unflatten(0, tiny_video.shape[:2])
    torch.testing.assert_close(model.vision_model(tiny_video).cls_tokens, expected, rtol=0, atol=1e-10)


def test_they_are_neither_seeds_nor_context_tokens(make, tiny_video):
    model = make(num_deep_prompts=3)
    output = model(tiny_video, return_sources=True, return_attentions=True)
    assert output.context_tokens.shape[1] == 6
    num_patches, num_seeds = model.config.num_patches, model.config.num_seeds
    for sources in filter(lambda each: each is not None, output.sources):
        assert sources.shape == (2, 6, 4 * num_patches) and (sources.sum((1, 2)) == 4 * num_seeds).all()
    # The frames attend to them, and what they take is missing from the weights that are left to look at.
    assert [weights.shape[-1] - num_patches - 1 for weights in output.attentions] == [0, 6, 6]
    assert all((weights.sum(-1) < 0.999).all() for weights in output.attentions)


def test_they_are_new_parameters_that_learn_at_the_rate_of_prompts(make, tiny_video):
    model, without = make(num_deep_prompts=50), make()
    names = {f"vision_model.encoder.layers.{number}.deep_prompts" for number in range(3)}
    assert model.state_dict().keys() - without.state_dict().keys() == names
    assert names <= model.new_parameter_names() and names <= model.prompting_parameter_names()
    assert not names & model.clip_state_dict().keys()  # so that weight ensembling leaves them as they are
    drawn = torch.stack(prompts_of(model))
    assert drawn.shape == (3, 50, 64) and drawn.std().item() == pytest.approx(0.02, rel=0.05)
    model.freeze(["vision", "text"])
    model(tiny_video).logits.logsumexp(-1).sum().backward()
    assert all(prompts.grad.norm() > 0 for prompts in prompts_of(model))


def test_saved_ones_are_loaded(make, tiny_video, tmp_path):
    model, video = make(num_deep_prompts=2).float(), tiny_video.float()
    torch.nn.init.normal_(prompts_of(model)[1])
    model.save_pretrained(tmp_path)
    again = TCCLIP.from_pretrained(tmp_path)
    again.set_class_names(NAMES)
    assert all(map(torch.equal, prompts_of(again), prompts_of(model)))
    torch.testing.assert_close(again(video).logits, model(video).logits)


def test_the_encoder_is_exported_with_them(make, tiny_video):
    side = VideoSide(make(num_deep_prompts=2).eval())
    program = torch.export.export(side, (tiny_video,)).module()
    for found, expected in zip(program(tiny_video), side(tiny_video), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
