"""Where the tests of kernels run: a GPU, or Triton's interpreter on the CPU, which is made twice as fast here.

And what would wait for a GPU, found on a CPU.
"""

import dataclasses
import functools
from importlib.util import find_spec

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
needs_gpu = pytest.mark.skipif(DEVICE == "cpu", reason="graphs, streams and clocks are those of a GPU")


class HostReads(TorchDispatchMode):
    """Names of the operators called whose result the host has to know, and would wait for a GPU for.

    Copies to and from a GPU, which wait too unless they are told not to, are found on one alone.
    """

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        by_mask = name in ("index", "index_put_") and any(i is not None and i.dtype == torch.bool for i in args[1])
        reads = ("_local_scalar_dense", "bincount", "equal", "is_nonzero", "masked_select", "nonzero", "_unique2")
        self.found += [name] if by_mask or name in reads else []
        return func(*args, **(kwargs or {}))


class _Launch:
    """The outermost replacement of Triton's language: what a launch of a kernel undoes at its end."""

    def __init__(self, scope, replaced):
        self.scope, self.replaced = scope, replaced

    def restore(self):
        self.scope.restore()
        self.replaced.clear()


def replace_language_once_a_launch(interpreter):
    """Leave out what the interpreter does again in every call of a function inside a kernel.

    It replaces the functions of `triton.language` by its own when a kernel starts, and again, after looking through all
    of them, in every call of one of the kernel's functions, where they are replaced already.
    """
    replace, languages, replaced = interpreter._patch_lang, (interpreter.tl, interpreter.tl.core), set()

    @functools.cache
    def used(fn):
        return {id(value) for value in fn.__globals__.values() if any(value is each for each in languages)}

    def replace_new(fn):
        new = used(fn) - replaced
        if not new:
            return interpreter._LangPatchScope()
        is_launch = not replaced
        replaced.update(new)
        return _Launch(replace(fn), replaced) if is_launch else replace(fn)

    interpreter._patch_lang = replace_new


def compute_only_what_is_used(interpreter):
    """Leave out the checks for overflow, whose result only a debug mode reads, and a table made for every tensor."""
    builder = interpreter.interpreter_builder
    if not builder.options.debug:
        builder.options = dataclasses.replace(builder.options, sanitize_overflow=False)
    find, known = interpreter._get_np_dtype, {}

    def find_once(dtype):
        if dtype.name not in known:
            known[dtype.name] = find(dtype)
        return known[dtype.name]

    interpreter._get_np_dtype = find_once


if DEVICE == "cpu" and find_spec("triton"):
    from triton.runtime import interpreter

    # Private names: without them the tests are slower, and the same.
    if hasattr(interpreter, "_patch_lang"):
        replace_language_once_a_launch(interpreter)
    if hasattr(interpreter, "_get_np_dtype") and hasattr(interpreter, "interpreter_builder"):
        compute_only_what_is_used(interpreter)
