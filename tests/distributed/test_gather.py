"""Two processes whose loss compares the clips of both: it and its gradients are those of one with the whole batch."""


def test_loss_and_gradients_are_those_of_the_whole_batch(launch_two):
    done = launch_two("gather_worker.py")
    assert done.returncode == 0, done.stderr
