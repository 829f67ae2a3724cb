"""Two processes whose loss compares the clips of both: it and its gradients are those of one with the whole batch."""

from . import batch_kl_worker, gather_worker, pairwise_worker


def test_loss_and_gradients_are_those_of_the_whole_batch(in_two_processes):
    in_two_processes(gather_worker.main)


def test_actionclip_matches_the_pairs_of_both_processes(in_two_processes, tiny_clip_folder):
    in_two_processes(batch_kl_worker.main, tiny_clip_folder)


def test_ost_matches_the_frames_and_phrases_of_both_processes(in_two_processes, tiny_clip_folder):
    in_two_processes(pairwise_worker.main, tiny_clip_folder)
