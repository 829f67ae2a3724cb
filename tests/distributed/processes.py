"""What each of two processes of a test runs."""

import os
import sys
from functools import partial

import torch
from torch import distributed


def run_worker(rank, meeting_point, worker, arguments):
    """Run `worker(join, *arguments)`, in which `join()` makes this process one of a group of two."""
    torch.set_num_threads(1)
    worker(partial(distributed.init_process_group, "gloo", meeting_point, rank=rank, world_size=2), *arguments)
    distributed.destroy_process_group()
    sys.stderr.flush()
    os._exit(0)  # a thread of gloo that outlives the group now and then aborts the process at a normal exit
