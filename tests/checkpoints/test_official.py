"""Published checkpoints: every weight is converted, and no code of other libraries runs."""

import sys
import types

import pytest
import torch
from transformers import CLIPTextConfig, CLIPVisionConfig

from tc_clip_pl import TCCLIP
from tc_clip_pl.checkpoints.official import convert_state_dict, load_official_checkpoint, load_official_state_dict
from tc_clip_pl.modules.config import TCCLIPConfig

OPTIONS = {"num_frames": 4, "seed_ratio": 0.5, "num_context_tokens": 5, "merges_per_round": 3}
LAYERS = 2
# Published name -> ours, written out here a second time so that the table of the code is tested, not repeated.
SINGLE = {
    "image_encoder.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "image_encoder.class_embedding": "vision_model.embeddings.class_embedding",
    "image_encoder.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "text_encoder.positional_embedding": "text_model.embeddings.position_embedding.weight",
    "prompt_learner.ctx": "prompt_learner.prompt_vectors",
    "logit_scale": "logit_scale",
}
TRANSPOSED = {
    "image_encoder.proj": "visual_projection.weight",
    "text_encoder.text_projection": "text_projection.weight",
}
NORMS = {
    "image_encoder.ln_pre": "vision_model.pre_layrnorm",
    "image_encoder.ln_post": "vision_model.post_layernorm",
    "text_encoder.ln_final": "text_model.final_layer_norm",
}


def tiny_tc_clip():
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": LAYERS, "num_attention_heads": 1}
    config = TCCLIPConfig(
        vision_config=CLIPVisionConfig(**sizes, projection_dim=64, image_size=32, patch_size=8),
        text_config=CLIPTextConfig(
            **sizes, projection_dim=64, vocab_size=30, max_position_embeddings=20, eos_token_id=29
        ),
        projection_dim=64,
        **OPTIONS,
    )
    torch.manual_seed(0)
    return TCCLIP(config).eval()


def published_block(weights, there, here, attention, norms):
    """The weights of one layer or prompting block under their published names."""
    linears = {"mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2", "attn.out_proj": f"{attention}.out_proj"}
    block = {}
    for kind in ("weight", "bias"):
        block |= {f"{there}.{a}.{kind}": weights[f"{here}.{b}.{kind}"] for a, b in {**norms, **linears}.items()}
        query_key_value = [weights[f"{here}.{attention}.{letter}_proj.{kind}"] for letter in "qkv"]
        if there.startswith("image"):  # published apart in the vision encoder, stacked in the text encoder
            block |= {f"{there}.attn.{q}_proj.{kind}": v for q, v in zip("qkv", query_key_value, strict=True)}
        else:
            block[f"{there}.attn.in_proj_{kind}"] = torch.cat(query_key_value)
    return block


@pytest.fixture(scope="module")
def published():
    """A model, and its weights under published names and layouts."""
    model = tiny_tc_clip()
    weights = model.state_dict()
    state = {there: weights[here] for there, here in SINGLE.items()}
    state |= {there: weights[here].T for there, here in TRANSPOSED.items()}
    state |= {f"{a}.{kind}": weights[f"{b}.{kind}"] for a, b in NORMS.items() for kind in ("weight", "bias")}
    norms = {"ln_1": "layer_norm1", "ln_2": "layer_norm2"}
    for there, here in (("image_encoder", "vision_model"), ("text_encoder", "text_model")):
        for i in range(LAYERS):
            names = (f"{there}.transformer.resblocks.{i}", f"{here}.encoder.layers.{i}")
            state |= published_block(weights, *names, "self_attn", norms)
    norms = {"ln_1": "layer_norm_prompt", "ln_1_kv": "layer_norm_context", "ln_2": "layer_norm2"}
    names = ("text_encoder.prompt_generation_layer.0", "prompt_generation_layer")
    state |= published_block(weights, *names, "cross_attn", norms)
    bias = weights["vision_model.encoder.layers.1.self_attn.local_global_bias"]
    state["image_encoder.transformer.resblocks.1.attn.local_global_bias_table"] = bias.unsqueeze(1)
    state["prompt_learner.token_prefix"] = torch.zeros(3, 1, 64)
    return model, {f"module.{name}": value for name, value in state.items()}


def embeddings(model):
    return model.text_model.embeddings.token_embedding.weight.detach()


def test_every_weight_is_converted(published):
    model, state = published
    loaded = load_official_state_dict(state, **OPTIONS, token_embedding=embeddings(model)).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in model.state_dict().items())


def test_raises_without_token_embedding(published):
    with pytest.raises(ValueError, match="token_embedding"):
        load_official_state_dict(published[1], **OPTIONS)


def test_raises_on_unknown_weight(published):
    with pytest.raises(ValueError, match=r"'image_encoder\.adapter'"):
        convert_state_dict({**published[1], "module.image_encoder.adapter": torch.zeros(1)})


def test_raises_on_missing_weight(published):
    model, state = published
    state = {name: value for name, value in state.items() if "ln_1_kv" not in name}
    with pytest.raises(ValueError, match="layer_norm_context"):
        load_official_state_dict(state, **OPTIONS, token_embedding=embeddings(model))


def test_pickled_object_of_another_library_runs_no_code(published, tmp_path, monkeypatch):
    model, state = published
    library = types.ModuleType("other_library")

    class Config(dict):
        def __setstate__(self, _):
            raise AssertionError("code of the other library ran")

    Config.__module__, Config.__qualname__ = "other_library", "Config"
    library.Config = Config
    monkeypatch.setitem(sys.modules, "other_library", library)
    config = Config(lr=1)
    config.note = "an attribute, so that unpickling calls __setstate__"
    torch.save({"model": state, "epoch": 3, "config": config}, tmp_path / "best.pth")
    monkeypatch.delitem(sys.modules, "other_library")  # not installed where the file is loaded
    loaded = load_official_checkpoint(tmp_path / "best.pth", **OPTIONS, token_embedding=embeddings(model))
    assert torch.equal(loaded.logit_scale, model.logit_scale)


def test_raises_on_another_kind_of_file(tmp_path):
    torch.save({"weights": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="has no key 'model'"):
        load_official_checkpoint(tmp_path / "x.pth")
