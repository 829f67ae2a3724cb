"""Every item gets its result once, although processes crash; errors and Ctrl-C end the processes at once."""

import os
import signal
import time
from contextlib import closing
from functools import partial

import pytest

from datamodules.processes import available_cores, map_in_processes


def work(item, folder, crash=(), fail=(), slow=()):
    (folder / f"{item}.{os.getpid()}").touch()
    if item in crash:
        os.kill(os.getpid(), signal.SIGKILL)
    if item in fail:
        raise OSError(28, "No space left on device")
    if item in slow:
        time.sleep(60)
    return -item


def test_results_of_all_items(tmp_path):
    found = dict(map_in_processes(partial(work, folder=tmp_path), range(9), 2, str))
    assert found == {item: -item for item in range(9)}
    assert len({file.suffix for file in tmp_path.iterdir()}) <= 2


def test_a_crash_costs_only_its_item(tmp_path):
    crashing = partial(work, folder=tmp_path, crash=(2, 6))
    found = list(map_in_processes(crashing, range(8), 2, lambda item: f"{item} crashed"))
    assert len(found) == 8
    assert dict(found) == {**{item: -item for item in range(8)}, 2: "2 crashed", 6: "6 crashed"}


def test_an_error_ends_the_iteration(tmp_path):
    began = time.monotonic()
    with pytest.raises(OSError, match="No space left"):
        list(map_in_processes(partial(work, folder=tmp_path, fail=(1,), slow=(0, 2)), range(9), 2, str))
    assert time.monotonic() - began < 30


def test_closing_ends_the_processes(tmp_path):
    began = time.monotonic()
    with closing(map_in_processes(partial(work, folder=tmp_path, slow=(1, 2, 3)), range(9), 2, str)) as found:
        assert next(found) == (0, 0)
    assert time.monotonic() - began < 30
    assert len(list(tmp_path.iterdir())) < 9


def test_cores():
    assert 1 <= available_cores() <= os.cpu_count()
