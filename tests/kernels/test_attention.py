"""The attention kernels, forward and backward, against the plain version over joined keys."""

import pytest
import torch

pytest.importorskip("triton")

from tc_clip_pl.kernels import attention_backward
from tc_clip_pl.kernels.attention import attend_with_context
from tc_clip_pl.ops.attention import context_attention, join_keys, key_bias
from tests.devices import DEVICE


def rows(*shape, generator):
    return torch.randn(*shape, generator=generator).to(DEVICE).requires_grad_()


def random_inputs(batch, frames, heads, tokens, context, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    frame = [rows(batch, frames, heads, tokens, width, generator=generator) for _ in range(3)]
    shared = [rows(batch, heads, context, width, generator=generator) for _ in range(2)]
    return [*frame, *shared, rows(heads, 2, generator=generator)]


def plain(query, key, value, context_key, context_value, bias):
    keys, values = join_keys(key, context_key), join_keys(value, context_value)
    return context_attention(query, keys, values, key_bias(bias, key.shape[-2], context_key.shape[-2]))


def kernel(query, key, value, context_key, context_value, bias):
    return attend_with_context(query, key, value, context_key, context_value, bias[:, 1] - bias[:, 0])


# One block and several of queries, frame keys and context keys, full and not.
SHAPES = [(2, 3, 2, 17, 6, 16), (1, 2, 1, 130, 70, 32), (1, 1, 2, 64, 64, 16), (2, 1, 1, 5, 1, 16)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_output_and_gradients_are_those_of_the_plain_version(shape):
    inputs = random_inputs(*shape)
    expected, output = plain(*inputs), kernel(*inputs)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=2e-6)
    gradient = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    pairs = (torch.autograd.grad(each, inputs, gradient) for each in (expected, output))
    for correct, found in zip(*pairs, strict=True):
        torch.testing.assert_close(found, correct, rtol=1e-5, atol=1e-5 * correct.abs().max().item())


@pytest.mark.parametrize("queries", [1, 70])
def test_fewer_queries_than_keys_get_the_same_rows_and_gradients(queries):
    inputs = random_inputs(2, 2, 2, 130, 6, 16)
    fewer = [inputs[0][..., :queries, :], *inputs[1:]]
    # In float32 the plain version's own gradient of the bias is up to 1e-5 off: a sum of many that cancel.
    expected, output = plain(*(tensor.double() for tensor in fewer)), kernel(*fewer)
    torch.testing.assert_close(output, expected.float(), rtol=1e-5, atol=2e-6)
    pairs = (torch.autograd.grad(each.square().sum(), inputs) for each in (expected, output))
    for correct, found in zip(*pairs, strict=True):
        torch.testing.assert_close(found, correct, rtol=1e-5, atol=1e-5 * correct.abs().max().item())


@pytest.mark.parametrize("enough, parts", [(1, 1), (4, 2), (8, 4), (9, 4)])
def test_gradients_of_the_context_are_summed_in_parts_of_the_frames(monkeypatch, enough, parts):
    monkeypatch.setattr(attention_backward, "ENOUGH_PROGRAMS", enough)
    assert attention_backward._count_parts(num_frames=4, num_programs=2) == parts
    inputs = random_inputs(1, 4, 2, 9, 6, 16)
    pairs = (torch.autograd.grad(each.square().sum(), inputs) for each in (plain(*inputs), kernel(*inputs)))
    for correct, found in zip(*pairs, strict=True):
        torch.testing.assert_close(found, correct, rtol=1e-5, atol=1e-5)


def test_takes_tensors_in_any_layout():
    inputs = random_inputs(2, 2, 2, 9, 5, 16)
    expected = plain(*inputs)
    swapped = [tensor.transpose(-1, -2).contiguous().transpose(-1, -2) for tensor in inputs[:5]]
    torch.testing.assert_close(kernel(*swapped, inputs[5]), expected, rtol=1e-5, atol=2e-6)
    output = kernel(*inputs)
    output.transpose(-1, -2).contiguous().square().sum().backward()  # a gradient whose rows are not together
    found = inputs[0].grad
    (correct,) = torch.autograd.grad(plain(*inputs).square().sum(), inputs[0])
    torch.testing.assert_close(found, correct, rtol=1e-5, atol=1e-5)


def test_heads_of_a_token_are_together_so_that_joining_them_copies_nothing():
    output = kernel(*random_inputs(2, 2, 3, 9, 5, 16))
    assert output.transpose(-3, -2).is_contiguous()


def test_large_scores_do_not_overflow():
    inputs = [100 * tensor.detach() for tensor in random_inputs(1, 1, 1, 9, 5, 16)[:5]]
    bias = torch.tensor([[0.0, 300.0]], device=DEVICE)
    torch.testing.assert_close(kernel(*inputs, bias), plain(*inputs, bias), rtol=1e-4, atol=1e-3)


def test_gradients_are_the_same_in_every_call():
    inputs = random_inputs(2, 3, 2, 17, 6, 16)
    first, second = (torch.autograd.grad(kernel(*inputs).square().sum(), inputs) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
