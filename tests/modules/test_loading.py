"""From folders to models and back."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPModel, CLIPTextConfig, CLIPVisionConfig

from tc_clip_pl import TCCLIP, TCCLIPConfig
from tc_clip_pl.checkpoints.tiny_clip import save_tiny_clip


@pytest.fixture
def clip_copy(tiny_clip_folder, tmp_path):
    return shutil.copytree(tiny_clip_folder, tmp_path / "clip")


def test_plain_clip_loads_every_weight(tiny_clip_folder):
    model = TCCLIP.from_pretrained(tiny_clip_folder, num_frames=4, num_context_tokens=6)
    clip = CLIPModel.from_pretrained(tiny_clip_folder).state_dict()
    state = model.state_dict()
    assert set(state) - set(clip) == model.new_parameter_names()
    assert all(torch.equal(state[name], value) for name, value in clip.items())
    assert all(torch.equal(value, clip[name]) for name, value in model.clip_state_dict().items())


def test_new_parameters_start_as_the_paper_says(tiny_clip_folder):
    model = TCCLIP.from_pretrained(tiny_clip_folder, num_frames=4, num_context_tokens=6, num_prompt_vectors=6)
    ids = model.tokenizer("a photo of a", add_special_tokens=False)["input_ids"]
    assert torch.equal(model.prompt_learner.prompt_vectors[:4], model.text_model.embeddings.token_embedding.weight[ids])
    assert 0 < model.prompt_learner.prompt_vectors[4:].abs().max() < 0.2
    last, block = model.text_model.encoder.layers[-1], model.prompt_generation_layer
    assert torch.equal(block.cross_attn.q_proj.weight, last.self_attn.q_proj.weight)
    assert torch.equal(block.mlp.fc2.bias, last.mlp.fc2.bias)
    bias = model.vision_model.encoder.layers[1].self_attn.local_global_bias
    assert bias.shape == (4, 2) and 0 < bias.abs().max() < 0.2
    assert model.vision_model.encoder.layers[0].self_attn.local_global_bias is None


def test_joint_embedding_starts_as_a_copy_of_clips_for_every_frame(tiny_clip_folder):
    model = TCCLIP.from_pretrained(tiny_clip_folder, num_frames=4, num_context_tokens=6, positional_embedding="joint")
    table = CLIPModel.from_pretrained(tiny_clip_folder).vision_model.embeddings.position_embedding.weight
    assert torch.equal(model.vision_model.embeddings.position_embedding.weight.view(4, 17, 64), table.expand(4, 17, 64))
    model.set_class_names(["a"])
    with pytest.raises(ValueError, match="4 frames"):
        model(torch.zeros(1, 8, 3, 32, 32))


@pytest.mark.parametrize("positional_embedding", ["space", "joint"])
def test_save_round_trips_bit_for_bit(tiny_clip_folder, tmp_path, positional_embedding):
    options = {"num_frames": 4, "num_context_tokens": 6, "positional_embedding": positional_embedding}
    model = TCCLIP.from_pretrained(tiny_clip_folder, **options)
    model.save_pretrained(tmp_path / "saved")
    again = TCCLIP.from_pretrained(tmp_path / "saved")
    names = (*options, "prompt_token_ids", "clip_name_or_path", "tc_layers")
    assert all(getattr(again.config, name) == getattr(model.config, name) for name in names)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    for each in (model, again):
        each.set_class_names(["brush hair", "something new"])
    video = torch.randn(1, 4, 3, 32, 32)
    assert torch.equal(model(video).logits, again(video).logits)


def test_token_embeddings_stay_frozen(tiny_clip_folder, tmp_path):
    model = TCCLIP.from_pretrained(tiny_clip_folder, num_frames=4, num_context_tokens=6)
    model.save_pretrained(tmp_path / "saved")
    for each in (model, TCCLIP.from_pretrained(tmp_path / "saved")):
        frozen = {name for name, parameter in each.named_parameters() if not parameter.requires_grad}
        assert frozen == {"text_model.embeddings.token_embedding.weight"}


def test_config_saved_before_an_option_existed_gets_the_default(tiny_clip_folder, tmp_path):
    TCCLIP.from_pretrained(tiny_clip_folder, num_frames=4, num_context_tokens=6).save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    del stored["frame_pooling"]
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert TCCLIP.from_pretrained(tmp_path).config.frame_pooling == "mean_embedding"


@pytest.mark.parametrize("image_size, patch_size, width", [(48, 16, 32), (32, 16, 64), (40, 8, 96)])
def test_any_vit(tmp_path, image_size, patch_size, width):
    folder = save_tiny_clip(tmp_path, ["wave"], image_size=image_size, patch_size=patch_size, width=width)
    model = TCCLIP.from_pretrained(folder, num_frames=6, num_context_tokens=5, seed_ratio=0.5)
    model.set_class_names(["wave"])
    assert model(torch.randn(1, 6, 3, image_size, image_size)).context_tokens.shape == (1, 5, width)


def test_paper_defaults_fit_the_tiny_clip(tmp_path):
    model = TCCLIP.from_pretrained(save_tiny_clip(tmp_path, ["wave"]))
    model.set_class_names(["wave"])
    assert model(torch.randn(1, 16, 3, 48, 48)).context_tokens.shape == (1, 96, 64)


def test_raises_on_an_unexpected_weight(clip_copy):
    weights = load_file(clip_copy / "model.safetensors")
    save_file({**weights, "adapter.weight": torch.zeros(2)}, clip_copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"unexpected adapter\.weight"):
        TCCLIP.from_pretrained(clip_copy, num_context_tokens=6)


def test_raises_on_a_missing_weight(clip_copy):
    weights = load_file(clip_copy / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, clip_copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"missing visual_projection\.weight"):
        TCCLIP.from_pretrained(clip_copy, num_context_tokens=6)


def test_raises_on_a_weight_of_another_shape(clip_copy):
    config = json.loads((clip_copy / "config.json").read_text())
    config["vision_config"]["patch_size"] = 16
    (clip_copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="do not fit its configuration"):
        TCCLIP.from_pretrained(clip_copy, num_context_tokens=4)


def test_raises_on_a_model_of_another_type(clip_copy):
    (clip_copy / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="'bert'"):
        TCCLIP.from_pretrained(clip_copy, num_context_tokens=6)


def test_no_network_asks_for_a_folder(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match="give a local folder"):
        TCCLIP.from_pretrained("nobody/no-such-clip")


def test_raises_on_a_folder_without_a_model(tmp_path):
    with pytest.raises(OSError, match="does not hold a CLIP"):
        TCCLIP.from_pretrained(tmp_path)


def test_raises_on_an_unknown_override(tiny_clip_folder):
    with pytest.raises(ValueError, match=r"num_frame\b"):
        TCCLIP.from_pretrained(tiny_clip_folder, num_frame=4)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_context_tokens": 2000}, "fewer than num_context_tokens=2000"),
        ({"seed_ratio": 0.0}, "seed_ratio"),
        ({"tc_layers": [1, 4]}, r"tc_layers is \[1, 4\]"),
        ({"positional_embedding": "time"}, "space or joint"),
        ({"num_prompt_vectors": 0}, "num_prompt_vectors is 0"),
    ],
)
def test_config_raises_on_values_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        TCCLIPConfig(**options)


def test_prompting_needs_matching_widths():
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    parts = {"vision_config": CLIPVisionConfig(**sizes), "text_config": CLIPTextConfig(**sizes), "projection_dim": 16}
    with pytest.raises(ValueError, match=r"projection_dim \(16\) is the width of its text encoder \(32\)"):
        TCCLIP(TCCLIPConfig(**parts, num_frames=16, num_context_tokens=6))
    TCCLIP(TCCLIPConfig(**parts, reference_tokens="none", prompting="template"))


def test_raises_on_a_long_class_name_and_names_it(tiny_model):
    with pytest.raises(ValueError, match=r"a z z z.*needs 87 tokens"):
        tiny_model.set_class_names(["cartwheel", " ".join("z" * 80)])


@pytest.mark.parametrize("num_prompt_vectors", [2, 4, 8])
def test_prompt_vectors_replace_the_template(tiny_clip_folder, num_prompt_vectors):
    model = TCCLIP.from_pretrained(
        tiny_clip_folder, num_frames=4, num_context_tokens=6, num_prompt_vectors=num_prompt_vectors
    )
    model.set_class_names(["cartwheel", "ride bike"])
    ids = model.class_input_ids
    embeds = model.prompt_learner(model.text_model.embeddings.token_embedding(ids))
    assert embeds.shape == (2, ids.shape[1] - 4 + num_prompt_vectors, 64)
    assert torch.equal(embeds[1, 1 : 1 + num_prompt_vectors], model.prompt_learner.prompt_vectors)
    assert torch.equal(embeds[1, -3], model.text_model.embeddings.token_embedding.weight[ids[1, -3]])
    assert model(torch.randn(1, 4, 3, 32, 32)).logits.shape == (1, 2)


def test_padding_and_order_of_classes_do_not_matter(tiny_model, tiny_video):
    logits = tiny_model(tiny_video).logits
    tiny_model.set_class_names(["brush hair", "a rather long name of another class", "cartwheel"])
    longer = tiny_model(tiny_video).logits
    torch.testing.assert_close(longer[:, [0, 2]], logits[:, :2], rtol=0, atol=1e-10)
