"""Kernels of several videos side by side."""

import torch

from tc_clip_pl.kernels.streams import run_on_streams
from tests.devices import needs_gpu


def test_parts_on_the_cpu_are_called_in_turn():
    called = []
    run_on_streams(called.append, [3, 1, 2], torch.device("cpu"))
    assert called == [3, 1, 2]


@needs_gpu
def test_every_part_has_a_stream_of_its_own_even_beside_many_others():
    for _ in range(40):  # each takes another stream of torch's pool
        with torch.cuda.stream(torch.cuda.Stream()):
            streams = [torch.cuda.current_stream()]
            run_on_streams(lambda _: streams.append(torch.cuda.current_stream()), range(8), torch.device("cuda"))
            assert len({stream.cuda_stream for stream in streams}) == 9


@needs_gpu
def test_parts_wait_for_what_came_before_and_what_follows_waits_for_them():
    given, results = torch.zeros(3, device="cuda"), torch.zeros(3, device="cuda")
    torch.cuda._sleep(50_000_000)
    given += 1

    def run(index):
        torch.cuda._sleep(50_000_000)
        results[index].copy_(given[index] * (index + 1))

    run_on_streams(run, range(3), torch.device("cuda"))
    assert results.tolist() == [1, 2, 3]
