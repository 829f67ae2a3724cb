"""A sharded model has the gradients, the ensembled and the restored weights of a whole one."""

import os
import subprocess
import sys
from pathlib import Path


def test_sharded_model_equals_whole_one(tiny_clip_folder):
    worker = Path(__file__).with_name("sharding_worker.py")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launcher, str(worker), str(tiny_clip_folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
