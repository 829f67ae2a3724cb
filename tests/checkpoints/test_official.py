"""Published checkpoints: every key, and no foreign code."""

import sys
import types

import pytest
import torch
from transformers import CLIPTextConfig, CLIPVisionConfig

from tc_clip_pl import TCCLIP
from tc_clip_pl.checkpoints.official import convert_state_dict, load_official_checkpoint, load_official_state_dict
from tc_clip_pl.modules.config import TCCLIPConfig

SETTINGS = {"num_frames": 4, "seed_ratio": 0.5, "num_context_tokens": 5, "merges_per_round": 3}


@pytest.fixture(scope="module")
def published():
    """A model, and its weights under published names and layouts, made up here."""
    width = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 1,
        "projection_dim": 64,
    }
    config = TCCLIPConfig(
        vision_config=CLIPVisionConfig(**width, image_size=32, patch_size=8),
        text_config=CLIPTextConfig(**width, vocab_size=30, max_position_embeddings=20, eos_token_id=29),
        projection_dim=64,
        **SETTINGS,
    )
    torch.manual_seed(0)
    model = TCCLIP(config).eval()
    weights = model.state_dict()
    names = {
        "image_encoder.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "image_encoder.class_embedding": "vision_model.embeddings.class_embedding",
        "image_encoder.positional_embedding": "vision_model.embeddings.position_embedding.weight",
        "text_encoder.positional_embedding": "text_model.embeddings.position_embedding.weight",
        "prompt_learner.ctx": "prompt_learner.prompt_vectors",
        "logit_scale": "logit_scale",
    }
    state = {there: weights[here] for there, here in names.items()}
    state["image_encoder.proj"] = weights["visual_projection.weight"].T
    state["text_encoder.text_projection"] = weights["text_projection.weight"].T
    norms = {
        "image_encoder.ln_pre": "vision_model.pre_layrnorm",
        "image_encoder.ln_post": "vision_model.post_layernorm",
    }
    norms["text_encoder.ln_final"] = "text_model.final_layer_norm"
    blocks = [
        (f"image_encoder.transformer.resblocks.{i}", f"vision_model.encoder.layers.{i}", "self_attn") for i in range(2)
    ]
    blocks += [
        (f"text_encoder.transformer.resblocks.{i}", f"text_model.encoder.layers.{i}", "self_attn") for i in range(2)
    ]
    blocks += [("text_encoder.prompt_generation_layer.0", "prompt_generation_layer", "cross_attn")]
    for there, here, attn in blocks:
        norm_names = {"ln_1": "layer_norm1", "ln_2": "layer_norm2"}
        if attn == "cross_attn":
            norm_names = {"ln_1": "layer_norm_prompt", "ln_1_kv": "layer_norm_context", "ln_2": "layer_norm2"}
        norms |= {f"{there}.{a}": f"{here}.{b}" for a, b in norm_names.items()}
        norms |= {f"{there}.mlp.c_fc": f"{here}.mlp.fc1", f"{there}.mlp.c_proj": f"{here}.mlp.fc2"}
        norms[f"{there}.attn.out_proj"] = f"{here}.{attn}.out_proj"
        parts = {kind: [weights[f"{here}.{attn}.{p}_proj.{kind}"] for p in "qkv"] for kind in ("weight", "bias")}
        if there.startswith("image"):
            for kind, values in parts.items():
                state |= {f"{there}.attn.{p}_proj.{kind}": value for p, value in zip("qkv", values, strict=True)}
        else:
            state |= {f"{there}.attn.in_proj_{kind}": torch.cat(values) for kind, values in parts.items()}
    state |= {f"{a}.{kind}": weights[f"{b}.{kind}"] for a, b in norms.items() for kind in ("weight", "bias")}
    bias = weights["vision_model.encoder.layers.1.self_attn.local_global_bias"]
    state["image_encoder.transformer.resblocks.1.attn.local_global_bias_table"] = bias.unsqueeze(1)
    state["prompt_learner.token_prefix"] = torch.zeros(3, 1, 64)
    return model, {f"module.{name}": value for name, value in state.items()}


def embeddings(model):
    return model.text_model.embeddings.token_embedding.weight.detach()


def test_every_weight_arrives(published):
    model, state = published
    loaded = load_official_state_dict(state, **SETTINGS, token_embedding=embeddings(model)).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in model.state_dict().items())


def test_token_embedding_is_asked_for(published):
    with pytest.raises(ValueError, match="token_embedding"):
        load_official_state_dict(published[1], **SETTINGS)


def test_unknown_name_is_an_error(published):
    with pytest.raises(ValueError, match=r"'image_encoder\.adapter'"):
        convert_state_dict({**published[1], "module.image_encoder.adapter": torch.zeros(1)})


def test_missing_weight_is_an_error(published):
    model, state = published
    state = {name: value for name, value in state.items() if "ln_1_kv" not in name}
    with pytest.raises(ValueError, match="layer_norm_context"):
        load_official_state_dict(state, **SETTINGS, token_embedding=embeddings(model))


def test_file_with_a_foreign_object_is_read_without_its_code(published, tmp_path, monkeypatch):
    model, state = published
    foreign = types.ModuleType("foreign_config")

    class Settings(dict):
        def __setstate__(self, _):
            raise AssertionError("foreign code ran")

    Settings.__module__, Settings.__qualname__ = "foreign_config", "Settings"
    foreign.Settings = Settings
    monkeypatch.setitem(sys.modules, "foreign_config", foreign)
    settings = Settings(lr=1)
    settings.note = "state"
    torch.save({"model": state, "epoch": 3, "config": settings}, tmp_path / "best.pth")
    monkeypatch.delitem(sys.modules, "foreign_config")
    loaded = load_official_checkpoint(tmp_path / "best.pth", **SETTINGS, token_embedding=embeddings(model))
    assert torch.equal(loaded.logit_scale, model.logit_scale)


def test_file_of_something_else(tmp_path):
    torch.save({"weights": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="holds no 'model'"):
        load_official_checkpoint(tmp_path / "x.pth")
