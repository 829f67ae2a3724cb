"""The whole model against plain, slow versions of itself, in float64."""

import pytest
import torch
from transformers import CLIPModel

from tc_clip_pl import TCCLIP
from tc_clip_pl.ops.aggregation.bipartite import match_tokens
from tc_clip_pl.ops.tokens import average_groups


def plain_text_embeds(model, prompts):
    """One pass of the text encoder per (video, class), as Eq. 15 is written. ``prompts``: (B, M, d) of each video."""
    text, ids = model.text_model, model.class_input_ids
    eos = model.class_eos
    embeds = model.prompt_learner(text.embeddings.token_embedding(ids))
    mask = torch.full((ids.shape[1], ids.shape[1]), float("-inf"), dtype=embeds.dtype).triu(1)[None, None]
    rows = []
    for prompt in prompts:
        for index in range(len(ids)):
            states = (embeds[index] + text.embeddings.position_embedding.weight[: ids.shape[1]])[None]
            for number, layer in enumerate(text.encoder.layers, start=1):
                if number == len(text.encoder.layers):
                    states = torch.cat((states[:, :1], prompt[None], states[:, 1 + len(prompt) :]), dim=1)
                states = layer(states, mask)
            rows.append(model.text_projection(text.final_layer_norm(states[0, eos[index]])))
    return torch.stack(rows).unflatten(0, (len(prompts), len(ids)))


def plain_prompts(model, context_tokens):
    """Eqs. 12-14 for each video, with the prompt states of the first class."""
    states = model._encode_classes().prompts
    block = model.prompt_generation_layer
    for_videos = []
    for context in context_tokens.detach():
        heads = (block.cross_attn.num_heads, -1)
        query = block.cross_attn.q_proj(block.layer_norm_prompt(states)).unflatten(-1, heads).transpose(0, 1)
        normed = block.layer_norm_context(context)
        key, value = (
            p(normed).unflatten(-1, heads).transpose(0, 1) for p in (block.cross_attn.k_proj, block.cross_attn.v_proj)
        )
        attended = (query @ key.transpose(1, 2) * query.shape[-1] ** -0.5).softmax(-1) @ value
        interim = states + block.cross_attn.out_proj(attended.transpose(0, 1).flatten(1))
        for_videos.append(interim + block.mlp(block.layer_norm2(interim)))
    return torch.stack(for_videos)


def test_factored_text_path_matches_plain_one_with_gradients(tiny_model, tiny_video):
    weight = torch.randn(2, 5, 64, dtype=torch.float64)
    parameters = [p for n, p in tiny_model.named_parameters() if p.requires_grad and n.startswith(("text", "prompt"))]
    output = tiny_model(tiny_video)
    plain = plain_text_embeds(tiny_model, plain_prompts(tiny_model, output.context_tokens))
    torch.testing.assert_close(output.text_embeds, plain, rtol=0, atol=1e-10)
    fast = torch.autograd.grad((output.text_embeds * weight).sum(), parameters)
    slow = torch.autograd.grad((plain * weight).sum(), parameters)
    for actual, expected in zip(fast, slow, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def test_prompt_states_do_not_depend_on_the_class(tiny_model):
    text, ids = tiny_model.text_model, tiny_model.class_input_ids
    states = tiny_model.prompt_learner(text.embeddings.token_embedding(ids))
    states = states + text.embeddings.position_embedding.weight[: ids.shape[1]]
    mask = torch.full((ids.shape[1],) * 2, float("-inf"), dtype=states.dtype).triu(1)[None, None]
    for layer in text.encoder.layers[:-1]:
        states = layer(states, mask)
    expected = tiny_model.encode_classes().prompts.expand(5, -1, -1)
    torch.testing.assert_close(states[:, 1:5], expected, rtol=0, atol=1e-12)


def plain_vision(model, video):
    """Eqs. 5-11 with full attention matrices and every token fed forward."""
    vision, config = model.vision_model, model.config
    states, context = vision.pre_layrnorm(vision.embeddings(video)), None
    for layer in vision.encoder.layers:
        attn = layer.self_attn
        frame_keys = layer.layer_norm1(states)
        keys = frame_keys
        bias = torch.zeros(attn.num_heads, 1, states.shape[2], dtype=video.dtype)
        if context is not None:
            shared = layer.layer_norm1(context)[:, None].expand(-1, states.shape[1], -1, -1)
            keys = torch.cat((keys, shared), dim=2)
            local, outside = attn.local_global_bias[:, 0, None, None], attn.local_global_bias[:, 1, None, None]
            bias = torch.cat((bias + local, outside.expand(-1, 1, context.shape[1])), dim=-1)
        heads = (attn.num_heads, attn.head_dim)
        q, k, v = (
            p(x).unflatten(-1, heads).transpose(2, 3)
            for p, x in ((attn.q_proj, frame_keys), (attn.k_proj, keys), (attn.v_proj, keys))
        )
        weights = (q @ k.transpose(-1, -2) * attn.scale + bias).softmax(-1)
        states = states + attn.out_proj((weights @ v).transpose(2, 3).flatten(3))
        scores = weights[:, :, :, 0, 1 : states.shape[2]].mean(2)
        chosen = scores.topk(config.num_seeds).indices
        seeds = torch.stack(
            [torch.cat([states[b, t, 1:][chosen[b, t]] for t in range(video.shape[1])]) for b in range(len(video))]
        )
        groups = match_tokens(seeds, config.num_context_tokens, config.merges_per_round)
        context = average_groups(seeds, groups, config.num_context_tokens)
        states, context = (x + layer.mlp(layer.layer_norm2(x)) for x in (states, context))
    return vision.post_layernorm(states[:, :, 0]), vision.post_layernorm(context)


def test_vision_path_matches_plain_one_with_gradients(tiny_model, tiny_video):
    encoding = tiny_model.vision_model(tiny_video)
    cls_tokens, context = plain_vision(tiny_model, tiny_video)
    torch.testing.assert_close(encoding.cls_tokens, cls_tokens, rtol=0, atol=1e-10)
    torch.testing.assert_close(encoding.context_tokens, context, rtol=0, atol=1e-10)
    weights = torch.randn_like(cls_tokens), torch.randn_like(context)
    parameters = [p for p in tiny_model.vision_model.parameters()]
    fast = torch.autograd.grad(
        (encoding.cls_tokens * weights[0]).sum() + (encoding.context_tokens * weights[1]).sum(), parameters
    )
    slow = torch.autograd.grad((cls_tokens * weights[0]).sum() + (context * weights[1]).sum(), parameters)
    for actual, expected in zip(fast, slow, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def test_sources_and_attentions_do_not_change_the_output(tiny_model, tiny_video):
    plain, full = tiny_model(tiny_video), tiny_model(tiny_video, return_sources=True, return_attentions=True)
    assert torch.equal(plain.logits, full.logits)
    assert plain.sources is None and plain.attentions is None
    assert [tuple(sources.shape) for sources in full.sources] == [(2, 6, 4 * 16)] * 3
    assert [tuple(weights.shape) for weights in full.attentions] == [(2, 4, 4, 17, 17)] + [(2, 4, 4, 17, 23)] * 2
    for sources in full.sources:
        assert sources.sum() == 2 * 4 * tiny_model.config.num_seeds  # every seed once
        assert sources.sum(1).max() == 1 and sources.any(-1).all()


def test_every_parameter_but_the_token_embedding_gets_a_gradient(tiny_model, tiny_video):
    torch.nn.functional.cross_entropy(tiny_model(tiny_video).logits, torch.tensor([0, 1])).backward()
    without = {name for name, parameter in tiny_model.named_parameters() if parameter.grad is None}
    assert without == {"text_model.embeddings.token_embedding.weight"}


def test_prompting_sends_no_gradient_into_the_context_tokens(tiny_model, tiny_video):
    tiny_model(tiny_video).text_embeds.sum().backward()
    assert all(parameter.grad is None for parameter in tiny_model.vision_model.parameters())
    assert tiny_model.visual_projection.weight.grad is None
    assert tiny_model.prompt_learner.prompt_vectors.grad.abs().sum() > 0


def test_videos_are_independent(tiny_model, tiny_video):
    together = tiny_model(tiny_video).logits
    alone = torch.cat([tiny_model(video[None]).logits for video in tiny_video])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)


def test_partial_layers(tiny_clip_folder, tiny_video):
    model = TCCLIP.from_pretrained(tiny_clip_folder, num_frames=4, num_context_tokens=6, tc_layers=[3]).double()
    model.set_class_names(["a", "b"])
    output = model(tiny_video, return_sources=True, return_attentions=True)
    assert [sources is not None for sources in output.sources] == [False, True, True]
    assert [weights.shape[-1] for weights in output.attentions] == [17, 17, 23]
    assert {name for name in model.new_parameter_names() if "bias" in name and "self_attn" in name} == {
        "vision_model.encoder.layers.2.self_attn.local_global_bias"
    }


def test_without_context_frames_are_those_of_plain_clip(tiny_clip_folder, tiny_video):
    """Without attention to context keys, the [CLS] tokens are those of CLIP."""
    clip = CLIPModel.from_pretrained(tiny_clip_folder, dtype=torch.float64).eval()
    model = TCCLIP.from_pretrained(tiny_clip_folder, num_frames=4, num_context_tokens=6).double()
    with torch.no_grad():
        for layer in model.vision_model.encoder.layers[1:]:
            layer.self_attn.local_global_bias[:, 1] = -1e9  # no weight on the context
        expected = clip.visual_projection(clip.vision_model(tiny_video.flatten(0, 1)).pooler_output)
        model.set_class_names(["a"])
        torch.testing.assert_close(model(tiny_video).frame_embeds.flatten(0, 1), expected, rtol=0, atol=1e-10)


def test_any_number_of_frames(tiny_model, tiny_video):
    assert tiny_model(tiny_video.repeat(1, 3, 1, 1, 1)).frame_embeds.shape == (2, 12, 64)
    with pytest.raises(ValueError, match="fewer than num_context_tokens"):
        tiny_model(tiny_video[:, :1])


def test_raises_on_a_video_of_another_size(tiny_model):
    with pytest.raises(ValueError, match=r"\(B, T, 3, 32, 32\)"):
        tiny_model(torch.zeros(1, 4, 3, 24, 32, dtype=torch.float64))


def test_raises_without_classes(tiny_clip_folder, tiny_video):
    with pytest.raises(RuntimeError, match="set_class_names"):
        TCCLIP.from_pretrained(tiny_clip_folder, num_frames=4, num_context_tokens=6)(tiny_video)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_smoke_in_mixed_precision(tiny_model, tiny_video, dtype):
    model = tiny_model.float().train()
    with torch.autocast("cpu", dtype):
        loss = model(tiny_video.float()).logits.logsumexp(-1).sum()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
