"""The parts of CLIP that the backbone package adapts."""

import pytest
import torch
from transformers import CLIPModel, CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPMLP

from tc_clip_pl import TCCLIPConfig
from tc_clip_pl.modules.backbone import clip_layers
from tc_clip_pl.modules.backbone.clip_sizes import CLIP_SIZES
from tc_clip_pl.modules.backbone.interface import ENCODER_PARTS, backbone_options, expand_state_dict, find_eos
from tc_clip_pl.modules.text_encoder import encode_text


def test_encoder_parts_and_temperature_are_the_whole_clip(tiny_clip_folder):
    names = CLIPModel.from_pretrained(tiny_clip_folder).state_dict()
    parts = tuple(f"{part}." for parts in ENCODER_PARTS.values() for part in parts)
    assert {name for name in names if not name.startswith(parts)} == {"logit_scale"}


def test_text_encoder_in_steps_is_clips(tiny_clip_folder, tiny_model):
    clip = CLIPModel.from_pretrained(tiny_clip_folder, dtype=torch.float64).eval()
    tokens = tiny_model.tokenizer(["a photo of a cartwheel.", "wave"], padding=True, return_tensors="pt")
    eos = find_eos(tokens["input_ids"], clip.config.text_config.eos_token_id)
    with torch.no_grad():
        expected = clip.text_model(**tokens).pooler_output
        embeds = clip.text_model.embeddings.token_embedding(tokens["input_ids"])
        torch.testing.assert_close(encode_text(clip.text_model, embeds, eos), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", [(2, 4, 17, 64), (2, 4, 1, 64), (3, 6, 64), (0, 6, 64)])
def test_feeds_in_parts_what_it_feeds_at_once(tiny_model, monkeypatch, shape):
    monkeypatch.setattr(clip_layers, "TOKENS_AT_ONCE", 7)
    layer, tokens, sizes = tiny_model.vision_model.encoder.layers[0], torch.randn(shape, dtype=torch.float64), []
    layer.mlp.register_forward_hook(lambda _, inputs, output: sizes.append(output[..., 0].numel()))
    expected = layer.feed_forward(tokens)
    assert sizes == [tokens[..., 0].numel()]  # whole, where a gradient is wanted
    with torch.no_grad():
        torch.testing.assert_close(layer.feed_forward(tokens), expected, rtol=0, atol=1e-10)
    assert sum(sizes[1:]) == sizes[0] and max(sizes[1:]) <= 7


def clip_mlp(hidden_act="quick_gelu"):
    torch.manual_seed(0)
    config = CLIPVisionConfig(hidden_size=8, num_attention_heads=2, intermediate_size=24, hidden_act=hidden_act)
    return CLIPMLP(config).double(), clip_layers.MLP(config).double()


@pytest.mark.parametrize("hidden_act", ["quick_gelu", "gelu"])
def test_mlp_is_clips_with_its_gradients(hidden_act):
    theirs, ours = clip_mlp(hidden_act)
    ours.load_state_dict(theirs.state_dict())
    tokens = torch.randn(2, 3, 8, dtype=torch.float64)
    found = []
    for mlp in (theirs, ours):
        leaf = tokens.clone().requires_grad_()
        mlp(leaf).square().sum().backward()
        with torch.no_grad():
            found.append((mlp(tokens), leaf.grad, *(weight.grad for weight in mlp.parameters())))
    for expected, actual in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def test_mlp_of_clip_takes_one_pass_for_quick_gelu(monkeypatch):
    called = []
    monkeypatch.setattr(clip_layers, "silu", lambda states, inplace: called.append(inplace) or states)
    tokens = torch.randn(3, 8, dtype=torch.float64)
    mlp = clip_mlp()[1]
    mlp(tokens)
    with torch.no_grad():
        mlp(tokens)
    assert called == [False, True]


@pytest.mark.parametrize("name", ["fc1", "fc2"])
@pytest.mark.parametrize("kind", ["forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook"])
def test_layers_of_an_mlp_call_their_hooks(name, kind):
    mlp, called = clip_mlp()[1], []
    getattr(mlp.get_submodule(name), f"register_{kind}")(lambda *_: called.append(name))
    mlp(torch.randn(3, 8, dtype=torch.float64, requires_grad=True)).sum().backward()
    assert called == [name]


def test_a_layer_that_replaces_one_of_an_mlp_is_called():
    class Adapter(torch.nn.Linear):
        def forward(self, states):
            return torch.zeros(states.shape[0], self.out_features, dtype=states.dtype)

    mlp = clip_mlp()[1]
    mlp.fc2 = Adapter(24, 8)
    assert mlp(torch.randn(3, 8, dtype=torch.float64)).eq(0).all()


def test_eos_is_the_first_of_its_kind():
    assert find_eos(torch.tensor([[8, 3, 9, 9], [8, 9, 0, 0]]), 9).tolist() == [2, 1]


def test_eos_of_the_first_configurations_is_the_highest_id():
    assert find_eos(torch.tensor([[8, 2, 9, 0], [8, 9, 0, 0]]), 2).tolist() == [2, 1]


def test_raises_on_a_text_without_eos():
    with pytest.raises(ValueError, match=r"class 1 have no EOS token \(9\)"):
        find_eos(torch.tensor([[8, 9], [8, 3]]), 9)


def test_position_table_is_repeated_and_nothing_else():
    name = "vision_model.embeddings.position_embedding.weight"
    weights = {name: torch.arange(6.0).view(3, 2), "logit_scale": torch.tensor(1.0)}
    expanded = expand_state_dict(weights, 2)
    assert torch.equal(expanded[name], torch.cat((weights[name], weights[name])))
    assert expanded["logit_scale"] is weights["logit_scale"]


@pytest.mark.parametrize("name", CLIP_SIZES)
def test_published_sizes_make_a_configuration(name):
    config = TCCLIPConfig(**backbone_options(name))
    side = config.vision_config.image_size // int(name.split("patch")[1].split("-")[0])
    assert config.num_patches == side**2 and config.projection_dim == config.text_config.hidden_size


def test_raises_on_an_unknown_size():
    with pytest.raises(ValueError, match="sizes of 'my/clip' are unknown: give a folder, or one of openai/clip"):
        backbone_options("my/clip")
