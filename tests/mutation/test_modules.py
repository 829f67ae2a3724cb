"""The table of `modules.py` is complete: every mutated file has tests, and no entry is stale."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_mutated_file_has_tests(monkeypatch):
    monkeypatch.chdir(ROOT)
    modules = runpy.run_path("tests/mutation/modules.py")
    tests = modules["tests_of"]()  # ends in SystemExit where a test file is missing
    assert set(modules["ELSEWHERE"]) <= set(tests)
