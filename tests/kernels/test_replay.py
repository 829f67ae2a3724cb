"""Functions replayed as CUDA graphs."""

import torch

from tc_clip_pl.kernels.replay import Replayed
from tests.devices import DEVICE, needs_gpu


def test_a_function_on_the_cpu_is_called_each_time():
    calls = []

    def double(tensor, factor):
        calls.append(factor)
        return tensor * factor

    replayed = Replayed(double)
    assert [replayed(torch.ones(2), 2).sum().item() for _ in range(3)] == [4, 4, 4]
    assert calls == [2, 2, 2]


def test_a_function_may_write_to_its_argument():
    replayed, argument = Replayed(lambda tensor: tensor.add_(1)), torch.zeros(2, 3, device=DEVICE).T
    assert all(torch.equal(replayed(argument), argument + 1) for _ in range(4))
    assert replayed(argument).is_contiguous() and not argument.any()


@needs_gpu
def test_results_follow_the_argument_and_are_tensors_of_their_own():
    replayed = Replayed(lambda tensor, factor: tensor * factor)
    arguments = [torch.full((3,), float(value), device="cuda") for value in range(5)]
    results = [replayed(argument, 2) for argument in arguments]
    assert [result[0].item() for result in results] == [0, 2, 4, 6, 8]


@needs_gpu
def test_a_graph_made_in_inference_mode_serves_training():
    replayed = Replayed(lambda tensor: tensor + 1)
    with torch.inference_mode():
        for _ in range(3):
            replayed(torch.zeros(2, device="cuda"))
    assert replayed(torch.ones(2, device="cuda")).tolist() == [2, 2]
