"""Functions whose forward and backward passes are replayed as CUDA graphs."""

import pytest
import torch
from torch import nn

from tc_clip_pl.modules.outputs import ClassEncoding
from tc_clip_pl.modules.training_graph import TrainingGraphs
from tests.devices import DEVICE, needs_gpu


class Pair:
    """The same weights with and without graphs."""

    def __init__(self):
        torch.manual_seed(0)
        self.layer = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 3)).to(DEVICE)
        self.graphs, self.num_calls = TrainingGraphs(), 0

    def function(self, inputs):
        self.num_calls += 1
        return self.layer(inputs).square(), inputs.argmax(-1)

    def replay(self, inputs):
        return self.graphs(self.function, [inputs], list(self.layer.parameters()))

    def gradients(self, *outputs):
        self.layer.zero_grad()
        for output in outputs:
            output.backward()
        return torch.cat([parameter.grad.flatten() for parameter in self.layer.parameters()])

    def expected(self, *batches):
        return self.gradients(*(self.function(batch)[0].sum() for batch in batches))


def batches(count=4):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(5, 4, generator=generator).to(DEVICE) for _ in range(count)]


def test_results_and_gradients_are_those_of_the_function():
    pair = Pair()
    for batch in batches():
        result, labels = pair.replay(batch)
        torch.testing.assert_close(result, pair.layer(batch).square())
        assert torch.equal(labels, batch.argmax(-1)) and not labels.requires_grad
        torch.testing.assert_close(pair.gradients(result.sum()), pair.expected(batch))


def test_weights_that_move_are_read_where_they_are():
    pair = Pair()
    pair.graphs = TrainingGraphs(weights_move=True)
    for batch in batches():
        places = []
        for parameter in pair.layer.parameters():
            parameter.data = parameter.data * 1.5
            places.append(parameter.data_ptr())
        result, _ = pair.replay(batch)
        assert [parameter.data_ptr() for parameter in pair.layer.parameters()] == places
        torch.testing.assert_close(result, pair.layer(batch).square())
        torch.testing.assert_close(pair.gradients(result.sum()), pair.expected(batch))
    assert pair.num_calls == 3 + len(batches()) or not result.is_cuda  # two to warm up, one to capture; `expected`


def test_gradients_accumulate_over_batches():
    pair, (first, second, *_) = Pair(), batches()
    for _ in range(2):
        found = pair.gradients(*(pair.replay(batch)[0].sum() for batch in [first]))
    pair.layer.zero_grad()
    for batch in (first, second):
        pair.replay(batch)[0].sum().backward()
    found = torch.cat([parameter.grad.flatten() for parameter in pair.layer.parameters()])
    torch.testing.assert_close(found, pair.expected(first, second))


def test_two_forward_passes_may_precede_their_backward_passes():
    pair, (first, second, *_) = Pair(), batches()
    outputs = [pair.replay(batch)[0].sum() for batch in (first, second)]
    torch.testing.assert_close(pair.gradients(*outputs), pair.expected(first, second))


def test_changed_weights_are_seen_and_others_for_one_call_too():
    pair, (batch, *_) = Pair(), batches()
    pair.replay(batch)
    with torch.no_grad():
        pair.layer[0].weight.mul_(2)
    torch.testing.assert_close(pair.replay(batch)[0], pair.layer(batch).square())
    own = pair.layer[0].weight
    pair.layer[0].weight = nn.Parameter(own.detach() * 3)
    torch.testing.assert_close(pair.replay(batch)[0], pair.layer(batch).square())
    pair.layer[0].weight = own
    torch.testing.assert_close(pair.replay(batch)[0], pair.layer(batch).square())


def test_results_stay_after_later_calls():
    pair, (first, second, *_) = Pair(), batches()
    result = pair.replay(first)[0].detach()
    before = result.clone()
    pair.replay(second)
    assert torch.equal(result, before)


def test_frozen_parameters_get_no_gradient():
    pair, (batch, *_) = Pair(), batches()
    pair.layer[0].weight.requires_grad_(False)
    pair.replay(batch)[0].sum().backward()
    assert pair.layer[0].weight.grad is None and pair.layer[2].weight.grad is not None


def test_dataclasses_come_back_as_such():
    weight = nn.Parameter(torch.ones(2, device=DEVICE))

    def encode(inputs):
        return ClassEncoding(*(weight * inputs * factor for factor in range(5)))

    for value in (1.0, 2.0):
        found = TrainingGraphs()(encode, [torch.full((2,), value, device=DEVICE)], [weight])
        assert isinstance(found, ClassEncoding) and found.query.tolist() == [2 * value, 2 * value]


@needs_gpu
def test_a_replay_does_not_call_the_function():
    pair, (batch, *_) = Pair(), batches()
    for _ in range(3):
        pair.gradients(pair.replay(batch)[0].sum())
    assert pair.num_calls == 3  # two to warm up, one to capture


@needs_gpu
def test_a_second_backward_pass_says_that_it_cannot_be():
    pair, (batch, *_) = Pair(), batches()
    result = pair.replay(batch)[0].sum()
    result.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="to run its backward pass twice"):
        result.backward()
