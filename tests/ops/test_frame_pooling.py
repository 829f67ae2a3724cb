"""Every frame pooling against a loop over videos, classes and frames."""

import pytest
import torch

from tc_clip_pl.ops.cosine_logits import cosine_logits
from tc_clip_pl.ops.frame_pooling import FRAME_POOLINGS, pool_frames

B, T, Y, E = 2, 4, 3, 6
SCALE = 2.0


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(params=["text per video", "shared text"])
def inputs(request):
    """Frame embeddings of unequal lengths, text embeddings and the logarithm of the inverse temperature."""
    frames = draw(B, T, E) * torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)[:, None]
    text = draw(B, Y, E, seed=1) if request.param == "text per video" else draw(Y, E, seed=1)
    scale = torch.tensor(SCALE, dtype=torch.float64)
    return [tensor.clone().requires_grad_() for tensor in (frames, text, scale)]


def cosine(a, b):
    return (a @ b) / ((a @ a).sqrt() * (b @ b).sqrt())


def slow_mean_embedding(frames, text, scale):
    return scale * cosine(sum(frames) / T, text)


def slow_mean_cosine(frames, text, scale):
    return scale * sum(cosine(frame, text) for frame in frames) / T


def slow_attention(frames, text, scale):
    weights = [(scale * cosine(frame, text)).exp() for frame in frames]
    video = sum(weight / sum(weights) * frame for weight, frame in zip(weights, frames, strict=True))
    return scale * cosine(video, text)


SLOW = {"mean_embedding": slow_mean_embedding, "mean_cosine": slow_mean_cosine, "attention": slow_attention}


def slow_logits(name, frames, text, logit_scale):
    text = text.expand(B, Y, E)
    rows = [[SLOW[name](list(frames[b]), text[b, y], logit_scale.exp()) for y in range(Y)] for b in range(B)]
    return torch.stack([torch.stack(row) for row in rows])


@pytest.mark.parametrize("name", FRAME_POOLINGS)
def test_matches_reference_with_gradients(inputs, name):
    fast, slow = FRAME_POOLINGS[name](*inputs), slow_logits(name, *inputs)
    assert fast.shape == (B, Y)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-12)
    weight = draw(B, Y, seed=2)
    fast_gradients = torch.autograd.grad((fast * weight).sum(), inputs)
    slow_gradients = torch.autograd.grad((slow * weight).sum(), inputs)
    for actual, expected in zip(fast_gradients, slow_gradients, strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", FRAME_POOLINGS)
def test_equal_frames_give_their_cosine(name):
    frame, text = draw(B, 1, E), draw(B, Y, E, seed=1)
    logits = FRAME_POOLINGS[name](frame.expand(B, T, E), text, torch.tensor(SCALE))
    expected = torch.cosine_similarity(frame, text, dim=-1) * torch.tensor(SCALE).exp()
    torch.testing.assert_close(logits, expected, check_dtype=False)


def test_the_poolings_differ(inputs):
    logits = [FRAME_POOLINGS[name](*inputs) for name in FRAME_POOLINGS]
    assert min((a - b).abs().max() for i, a in enumerate(logits) for b in logits[:i]) > 0.1


def test_attention_without_contrast_is_the_mean_embedding():
    frames, text, cold = draw(B, T, E), draw(B, Y, E, seed=1), torch.tensor(-20.0, dtype=torch.float64)
    attention, mean = (FRAME_POOLINGS[name](frames, text, cold) for name in ("attention", "mean_embedding"))
    torch.testing.assert_close(attention / cold.exp(), mean / cold.exp(), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", FRAME_POOLINGS)
def test_autocast_keeps_float32(name):
    frames, text = draw(B, T, E).float(), draw(Y, E, seed=1).float()
    with torch.autocast("cpu", torch.bfloat16):
        logits = FRAME_POOLINGS[name](frames, text, torch.tensor(SCALE))
    assert torch.equal(logits, FRAME_POOLINGS[name](frames, text, torch.tensor(SCALE)))


def test_video_embeddings_have_unit_norm():
    torch.testing.assert_close(pool_frames(draw(B, T, E)).norm(dim=-1), torch.ones(B, dtype=torch.float64))


def test_similarity_is_a_scaled_cosine():
    frames, text = draw(B, T, E), draw(B, Y, E, seed=1)
    video, expected = pool_frames(frames), torch.cosine_similarity(frames.mean(1)[:, None], text, dim=-1)
    logits = cosine_logits(video, text, torch.tensor(SCALE, dtype=torch.float64))
    torch.testing.assert_close(logits, expected * torch.tensor(SCALE).exp(), check_dtype=False)
    shared = cosine_logits(video, text[0], torch.tensor(0.0))
    torch.testing.assert_close(shared[0], expected[0], check_dtype=False)


def test_unknown_name_lists_the_choices():
    with pytest.raises(ValueError, match="frame_pooling is 'max': choose one of mean_embedding, mean_cosine, att"):
        FRAME_POOLINGS["max"]
