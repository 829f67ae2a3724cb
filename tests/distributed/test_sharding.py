"""A sharded model has the gradients, the ensembled and the restored weights of a whole one."""

from . import sharding_worker


def test_sharded_model_equals_whole_one(in_two_processes, tiny_clip_folder):
    in_two_processes(sharding_worker.main, tiny_clip_folder)
