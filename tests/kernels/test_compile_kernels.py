"""All kernels compile for a GPU; where there is none, the other tests only interpret them."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")

from tests.kernels import compile_kernels

ROUNDS = {"normalize_rows", "find_partners", "rank_tokens", "merge_tokens", "label_seeds"}
PRODUCTS = {"multiply_all", "search_partners", "add_rows", "add_columns"}
ATTENTION = {"attention_forward", "sum_products", "query_gradient", "key_gradients"}


def test_kernels_compile_for_a_gpu():
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", compile_kernels.__name__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(done.stdout.split()) == ROUNDS | PRODUCTS | ATTENTION
