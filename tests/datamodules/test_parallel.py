"""Every item gets its result once, although processes crash; errors and Ctrl-C end the processes at once."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from datamodules.parallel import TASK_SIZE, available_cores, map_in_processes, map_in_threads


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


def test_a_kill_of_the_parent_ends_the_processes(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from test_parallel import map_in_processes, partial, work\n"
        "if __name__ == '__main__':\n"
        f"    list(map_in_processes(partial(work, folder=Path({str(tmp_path)!r}), slow=(1, 2)), range(3), 2, str))"
    )
    script = tmp_path.with_suffix(".py")
    script.write_text(code)
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    parent = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": path})
    while len(list(tmp_path.iterdir())) < 3:
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    children = {int(file.suffix[1:]) for file in tmp_path.iterdir()}
    for _ in range(200):
        if not (left := [child for child in children if _is_alive(child)]):
            break
        time.sleep(0.05)
    assert not left


def _is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_threads_keep_the_order():
    numbers = list(range(3 * TASK_SIZE + 1))
    assert map_in_threads(str, numbers) == list(map(str, numbers))
    assert map_in_threads(str, []) == []
    with pytest.raises(ZeroDivisionError):
        map_in_threads(lambda number: 1 / (number - TASK_SIZE), numbers)


def test_cores():
    assert 1 <= available_cores() <= os.cpu_count()
