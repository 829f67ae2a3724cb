"""Every choice trains, and every contradictory combination is refused in one sentence."""

import copy
import functools
import json

import pytest
import torch
from transformers import CLIPModel

from tc_clip_pl import TCCLIP, TCCLIPConfig
from tc_clip_pl.modules.backbone.interface import add_positions, run_layers, token_embedding
from tc_clip_pl.modules.text_encoder import condition_early
from tc_clip_pl.modules.text_prompting import PROMPTINGS
from tc_clip_pl.ops.aggregation import AGGREGATORS
from tc_clip_pl.ops.frame_pooling import FRAME_POOLINGS
from tc_clip_pl.ops.prompting_tokens import PROMPTING_TOKENS
from tc_clip_pl.ops.reference_tokens import REFERENCE_TOKENS
from tc_clip_pl.ops.seed_selection import SEED_SELECTORS

CHOICES = [
    *({"seed_selection": name} for name in SEED_SELECTORS),
    *({"aggregation": name} for name in AGGREGATORS),
    *({"reference_tokens": name, "prompting_tokens": "cls"} for name in REFERENCE_TOKENS),
    *({"prompting": name} for name in PROMPTINGS),
    *({"prompting_tokens": name} for name in PROMPTING_TOKENS),
    *({"frame_pooling": name} for name in FRAME_POOLINGS),
    *({"prompting_text_layer": text, "prompting_vision_layer": vision} for text in (1, 2, 3) for vision in (1, 2, 3)),
    {"reference_tokens": "none", "prompting": "template"},
    {"num_prompt_vectors": 2},
    {"num_prompt_vectors": 8},
    {"prompting_init": "random", "prompt_init": "random"},
    {"positional_embedding": "joint", "local_global_bias": False},
    {"tc_layers": [3]},
    {"num_deep_prompts": 2},
    {"num_deep_prompts": 2, "tc_layers": [3]},
    {"num_deep_prompts": 2, "reference_tokens": "none", "prompting": "template"},
    {"prompting": "template_ensemble", "class_templates": ["{}", "a film of {}."]},
]


def make(folder, **options):
    reads_count = "num_context_tokens" in AGGREGATORS.reads(options.get("aggregation", "bipartite"))
    if options.get("reference_tokens", "context") == "context" and reads_count:
        options = {"num_context_tokens": 6, **options}
    torch.manual_seed(0)
    model = load(folder, json.dumps(options))
    return copy.deepcopy(model, {id(model.tokenizer): model.tokenizer})


@functools.cache
def load(folder, options):
    """Load a model once: it takes longer than a training step, and several tests ask for each."""
    model = TCCLIP.from_pretrained(folder, num_frames=4, **json.loads(options))
    model.set_class_names(["brush hair", "cartwheel", "something else"])
    return model


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("options", CHOICES, ids=str)
def test_one_training_step(tiny_clip_folder, tiny_video, options, precision):
    model = make(tiny_clip_folder, **options).train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    losses = []
    for _ in range(2):
        torch.manual_seed(0)
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            logits = model(tiny_video.float()).logits
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    assert losses[1] < losses[0]


@pytest.mark.parametrize("options", CHOICES, ids=str)
def test_cached_classes_give_the_same_logits(tiny_clip_folder, tiny_video, options):
    if options.get("aggregation") == "random":
        return  # draws new groups in every call
    model = make(tiny_clip_folder, **options).double()
    with torch.no_grad():
        model(tiny_video)
        cached = model(tiny_video).logits
    torch.testing.assert_close(cached, model(tiny_video).logits.detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", CHOICES, ids=str)
def test_the_last_layer_gives_the_same_without_the_patches_that_nothing_reads(tiny_clip_folder, tiny_video, options):
    model = make(tiny_clip_folder, **options).double()
    found, expected = (encode_with_gradients(model, tiny_video, cls_only) for cls_only in (True, False))
    for left, right in zip(found, expected, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=1e-10)


def encode_with_gradients(model, video, cls_only):
    """Return the outputs of the vision encoder and the gradients of its parameters."""
    torch.manual_seed(0)  # one aggregation draws groups
    encoding = model.vision_model(video, cls_only=cls_only)
    outputs = [encoding.cls_tokens, encoding.context_tokens, encoding.prompting_tokens]
    outputs = [output for output in outputs if output is not None]
    weights = torch.randn(64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    parameters = list(model.vision_model.parameters())
    total = sum((output * weights).square().sum() for output in outputs)
    gradients = torch.autograd.grad(total, parameters, materialize_grads=True)
    return [*outputs, *gradients]


def test_frame_wise_with_the_template_is_plain_clip(tiny_clip_folder, tiny_video):
    clip = CLIPModel.from_pretrained(tiny_clip_folder, dtype=torch.float64).eval()
    model = make(tiny_clip_folder, reference_tokens="none", prompting="template").double()
    assert model.new_parameter_names() == set()
    names = ["brush hair", "cartwheel", "something else"]
    tokens = model.tokenizer([f"a photo of a {name}." for name in names], padding=True, return_tensors="pt")
    with torch.no_grad():
        output = clip(pixel_values=tiny_video.flatten(0, 1), **tokens)
        frames = clip.visual_projection(clip.vision_model(tiny_video.flatten(0, 1)).pooler_output).unflatten(0, (2, 4))
        video = torch.nn.functional.normalize(frames.mean(1), dim=-1)
        expected = video @ output.text_embeds.T * clip.logit_scale.exp()
        torch.testing.assert_close(model(tiny_video).logits, expected, rtol=0, atol=1e-10)


def test_joint_space_time_attention_is_one_attention_over_all_tokens(tiny_clip_folder, tiny_video):
    """With [CLS] of other frames left out, "all" equals attention over the joined frames."""
    model = make(tiny_clip_folder, reference_tokens="all", prompting="template").double()
    layer = model.vision_model.encoder.layers[1]
    torch.nn.init.zeros_(layer.self_attn.local_global_bias)
    states = layer.layer_norm1(torch.randn(2, 4, 17, 64, dtype=torch.float64))
    output = layer.self_attn(layer.self_attn.project(states, None))
    q, k, v = (
        projection(states).unflatten(-1, (4, 16)).flatten(1, 2).transpose(1, 2)
        for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj)
    )
    token, frame = torch.arange(68) % 17, torch.arange(68) // 17
    allowed = (frame[:, None] == frame) | (token != 0)
    attended = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    expected = layer.self_attn.out_proj(attended.transpose(1, 2).flatten(2)).unflatten(1, (4, 17))
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-10)


def test_early_prompting_at_the_last_layer_is_the_factored_one(tiny_model, tiny_video):
    """The plain path for early layers, started at the last layer, gives what the factored path gives."""
    text = tiny_model.text_model
    embeds = tiny_model.prompt_learner(token_embedding(text)(tiny_model.class_input_ids))
    states = run_layers(text, add_positions(text, embeds), 0, 2)
    output = tiny_model(tiny_video)
    prompts = tiny_model.prompt_generation_layer(states[0, 1:5], output.context_tokens)
    plain = tiny_model.text_projection(condition_early(text, states, tiny_model.class_eos, prompts, 2))
    torch.testing.assert_close(output.text_embeds, plain, rtol=0, atol=1e-10)


@pytest.mark.parametrize("option", ["prompting_init", "prompt_init"])
def test_random_initialization_differs_from_clips(tiny_clip_folder, option):
    chosen, default = make(tiny_clip_folder, **{option: "random"}), make(tiny_clip_folder)
    parts = {
        "prompting_init": lambda model: model.prompt_generation_layer.mlp.fc1.weight,
        "prompt_init": lambda model: model.prompt_learner.prompt_vectors,
    }
    for name, part in parts.items():
        assert torch.equal(part(chosen), part(default)) == (name != option)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"seed_selection": "best"}, "seed_selection is 'best': choose one of"),
        ({"aggregation": "mean"}, "aggregation is 'mean': choose one of"),
        ({"reference_tokens": "past"}, "reference_tokens is 'past': choose one of"),
        ({"prompting": "hard"}, "prompting is 'hard': choose one of"),
        ({"frame_pooling": "max"}, "frame_pooling is 'max': choose one of mean_embedding"),
        ({"prompting_init": "zero"}, "prompting_init is 'zero': choose clip or random"),
        ({"reference_tokens": "none"}, "set prompting_tokens to cls or pooled"),
        ({"reference_tokens": "all", "prompting_tokens": "cls", "seed_ratio": 0.5}, "seed_ratio=0.5 would be ignored"),
        (
            {"seed_selection": "none", "seed_ratio": 0.5},
            "has an effect only with seed_selection averaged_cls",
        ),
        ({"aggregation": "kmeans", "merges_per_round": 5}, "merges_per_round=5 would be ignored"),
        ({"aggregation": "none", "num_context_tokens": 5}, "num_context_tokens=5 would be ignored"),
        ({"prompting": "template", "num_prompt_vectors": 8}, "num_prompt_vectors=8 would be ignored"),
        ({"prompting": "learnable", "prompting_tokens": "cls"}, "prompting_tokens='cls' would be ignored"),
        ({"prompting": "late_fusion", "prompting_text_layer": 1}, "prompting_text_layer=1 would be ignored"),
        ({"reference_tokens": "none", "prompting": "template", "tc_layers": [4]}, "tc_layers=\\[4\\] would be ignored"),
        ({"num_deep_prompts": -1}, "num_deep_prompts is -1: give 0 or"),
        (
            {"num_deep_prompts": 2, "reference_tokens": "all", "prompting_tokens": "cls"},
            "reference_tokens 'all' gives each frame its own: set it to context or none",
        ),
        ({"class_templates": ["{}"]}, "class_templates=.* would be ignored: .* with prompting template_ensemble"),
        *(
            ({"prompting": "template_ensemble", "class_templates": texts}, "give texts with {} in place of the class")
            for texts in ([], ["{}", "a film"], ["{} {}"], ["{name}"])
        ),
        ({"prompting_vision_layer": 13}, "prompting_vision_layer is 13: this CLIP has layers 1 to 12"),
        ({"tc_layers": []}, "name vision layers from 2"),
        ({"reference_tokens": "adjacent", "prompting_tokens": "cls", "num_frames": 2}, "at least 3 frames"),
    ],
)
def test_raises_on_a_contradictory_combination(options, message):
    with pytest.raises(ValueError, match=message):
        TCCLIPConfig(**options)


@pytest.mark.parametrize("encoders", [["vision"], ["text"], ["vision", "text"]])
def test_freezing_keeps_new_parameters_trainable(tiny_clip_folder, tiny_video, encoders):
    model = make(tiny_clip_folder).train()
    model.freeze(encoders)
    model(tiny_video.float()).logits.logsumexp(-1).sum().backward()
    frozen = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    prefixes = {"vision": ("vision_model.", "visual_projection."), "text": ("text_model.", "text_projection.")}
    expected = {n for n, _ in model.named_parameters() for e in encoders if n.startswith(prefixes[e])}
    assert frozen == (expected - model.new_parameter_names()) | {"text_model.embeddings.token_embedding.weight"}


def test_raises_on_freezing_an_unknown_encoder(tiny_model):
    with pytest.raises(ValueError, match="no encoder 'image' to freeze: choose vision or text"):
        tiny_model.freeze(["image"])
