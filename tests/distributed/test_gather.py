"""Two processes whose loss compares the clips of both: it and its gradients are those of one with the whole batch."""


def test_loss_and_gradients_are_those_of_the_whole_batch(launch_two):
    done = launch_two("gather_worker.py")
    assert done.returncode == 0, done.stderr


def test_actionclip_matches_the_pairs_of_both_processes(launch_two, tiny_clip_folder):
    done = launch_two("batch_kl_worker.py", tiny_clip_folder)
    assert done.returncode == 0, done.stderr


def test_ost_matches_the_frames_and_phrases_of_both_processes(launch_two, tiny_clip_folder):
    done = launch_two("pairwise_worker.py", tiny_clip_folder)
    assert done.returncode == 0, done.stderr
