"""Two processes train contrastively on the pairs of both: the gradients are those of one with the whole batch."""

from . import pretraining_worker


def test_gradients_are_those_of_the_whole_batch(in_two_processes):
    in_two_processes(pretraining_worker.main)
