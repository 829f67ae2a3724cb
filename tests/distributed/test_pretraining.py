"""Two processes train contrastively on the pairs of both: the gradients are those of one with the whole batch."""


def test_gradients_are_those_of_the_whole_batch(launch_two):
    done = launch_two("pretraining_worker.py")
    assert done.returncode == 0, done.stderr
