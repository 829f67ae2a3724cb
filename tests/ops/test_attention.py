"""Attention over frame and context keys against explicit sums."""

import torch

from tc_clip_pl.ops import attention
from tc_clip_pl.ops.attention import attention_weights, context_attention, gather_keys, join_keys, key_bias


def make_inputs(frames=3, heads=2, tokens=5, context=4, width=8):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)

    query, frame_key, frame_value = (draw(2, frames, heads, tokens, width) for _ in range(3))
    context_key, context_value = (draw(2, heads, context, width) for _ in range(2))
    return query, frame_key, frame_value, context_key, context_value, draw(heads, 2)


def slow_attention(query, frame_key, frame_value, context_key, context_value, bias):
    """Eq. 7 one query at a time."""
    output = torch.empty_like(query)
    for b, t, h, i in torch.cartesian_prod(*(torch.arange(n) for n in query.shape[:4])).tolist():
        key = torch.cat((frame_key[b, t, h], context_key[b, h]))
        value = torch.cat((frame_value[b, t, h], context_value[b, h]))
        local = torch.arange(len(key)) < frame_key.shape[-2]
        scores = key @ query[b, t, h, i] / query.shape[-1] ** 0.5 + torch.where(local, bias[h, 0], bias[h, 1])
        output[b, t, h, i] = scores.softmax(0) @ value
    return output


def fast_attention(query, frame_key, frame_value, context_key, context_value, bias):
    key, value = join_keys(frame_key, context_key), join_keys(frame_value, context_value)
    return context_attention(query, key, value, key_bias(bias, frame_key.shape[-2], context_key.shape[-2]))


def test_matches_reference_with_gradients():
    inputs = make_inputs()
    fast, slow = fast_attention(*inputs), slow_attention(*inputs)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)
    weight = torch.randn_like(fast)
    fast_gradients = torch.autograd.grad((fast * weight).sum(), inputs)
    slow_gradients = torch.autograd.grad((slow * weight).sum(), inputs)
    for actual, expected in zip(fast_gradients, slow_gradients, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def test_the_bias_of_a_cpu_has_its_gradient_from_the_fused_attention(monkeypatch):
    masks, fused = [], attention.scaled_dot_product_attention
    spy = lambda *inputs, **options: masks.append(options.get("attn_mask")) or fused(*inputs, **options)  # noqa: E731
    monkeypatch.setattr(attention, "scaled_dot_product_attention", spy)
    inputs = make_inputs()
    with_gradient = fast_attention(*inputs)
    with torch.no_grad():
        torch.testing.assert_close(fast_attention(*inputs), with_gradient, rtol=0, atol=1e-10)
    assert masks[0] is None and masks[1].shape == (1, 2, 1, 9)  # a mask of the keys alone is faster without a gradient


def test_weights_give_the_same_output():
    query, frame_key, frame_value, context_key, context_value, bias = make_inputs()
    key, value = join_keys(frame_key, context_key), join_keys(frame_value, context_value)
    full_bias = key_bias(bias, frame_key.shape[-2], context_key.shape[-2])
    weights = attention_weights(query, key, full_bias)
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    torch.testing.assert_close(weights @ value, context_attention(query, key, value, full_bias), rtol=0, atol=1e-10)


def test_only_the_difference_of_the_biases_matters():
    inputs = make_inputs()
    shifted = (*inputs[:-1], inputs[-1] + 3.0)
    torch.testing.assert_close(fast_attention(*shifted), fast_attention(*inputs), rtol=0, atol=1e-12)


def test_gathered_keys_are_those_of_the_other_frames():
    frame = torch.randn(2, 3, 2, 5, 8)
    indices = torch.tensor([[5, 14], [0, 10], [7, 3]])
    joined = gather_keys(frame, indices)
    assert joined.shape == (2, 3, 2, 7, 8)
    assert torch.equal(joined[:, :, :, :5], frame)
    for t, row in enumerate(indices.tolist()):
        for r, position in enumerate(row):
            assert torch.equal(joined[:, t, :, 5 + r], frame[:, position // 5, :, position % 5])
