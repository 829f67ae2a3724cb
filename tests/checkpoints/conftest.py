"""Weights under the names and in the layouts of the authors' checkpoints."""

import pytest
import torch

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


@pytest.fixture(scope="session")
def publish():
    """Return a function that gives a TC-CLIP's weights under published names and layouts."""
    return published_state_dict


def published_state_dict(model):
    layers = model.config.vision_config.num_hidden_layers
    weights = model.state_dict()
    state = {there: weights[here] for there, here in SINGLE.items() if here in weights}
    state |= {there: weights[here].T for there, here in TRANSPOSED.items()}
    state |= {f"{a}.{kind}": weights[f"{b}.{kind}"] for a, b in NORMS.items() for kind in ("weight", "bias")}
    norms = {"ln_1": "layer_norm1", "ln_2": "layer_norm2"}
    for there, here in (("image_encoder", "vision_model"), ("text_encoder", "text_model")):
        for i in range(layers):
            names = (f"{there}.transformer.resblocks.{i}", f"{here}.encoder.layers.{i}")
            state |= published_block(weights, *names, "self_attn", norms)
    if model.prompt_learner is not None:
        state |= published_additions(weights, layers)
    return {f"module.{name}": value.clone() for name, value in state.items()}


def published_additions(weights, layers):
    """What TC-CLIP adds to CLIP, but the prompt vectors, and the class tokens of a run."""
    width = weights["text_model.embeddings.token_embedding.weight"].shape[1]
    state = {"prompt_learner.token_prefix": torch.zeros(3, 1, width)}
    norms = {"ln_1": "layer_norm_prompt", "ln_1_kv": "layer_norm_context", "ln_2": "layer_norm2"}
    names = ("text_encoder.prompt_generation_layer.0", "prompt_generation_layer")
    state |= published_block(weights, *names, "cross_attn", norms)
    for i in range(1, layers):
        bias = weights[f"vision_model.encoder.layers.{i}.self_attn.local_global_bias"]
        state[f"image_encoder.transformer.resblocks.{i}.attn.local_global_bias_table"] = bias.unsqueeze(1)
    return state
