"""A sharded model has the gradients, the ensembled and the restored weights of a whole one."""


def test_sharded_model_equals_whole_one(tiny_clip_folder, launch_two):
    done = launch_two("sharding_worker.py", tiny_clip_folder)
    assert done.returncode == 0, done.stderr
