"""Two processes share a batch or a model: gradients, losses and weights are those of one process.

All in one file, so that one server is started to fork them.
"""

from . import batch_kl_worker, gather_worker, pairwise_worker, pretraining_worker, sharding_worker


def test_loss_and_gradients_are_those_of_the_whole_batch(in_two_processes):
    in_two_processes(gather_worker.main)


def test_actionclip_matches_the_pairs_of_both_processes(in_two_processes, tiny_clip_folder):
    in_two_processes(batch_kl_worker.main, tiny_clip_folder)


def test_ost_matches_the_frames_and_phrases_of_both_processes(in_two_processes, tiny_clip_folder):
    in_two_processes(pairwise_worker.main, tiny_clip_folder)


def test_contrastive_pretraining_matches_the_pairs_of_both_processes(in_two_processes):
    in_two_processes(pretraining_worker.main)


def test_sharded_model_equals_whole_one(in_two_processes, tiny_clip_folder):
    in_two_processes(sharding_worker.main, tiny_clip_folder)
