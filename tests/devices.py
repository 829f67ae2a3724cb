"""Where the tests of kernels run: a GPU, or Triton's interpreter on the CPU, which is made a third faster here."""

from importlib.util import find_spec

import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


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

    def replace_new(fn):
        new = {id(value) for value in fn.__globals__.values() if any(value is each for each in languages)} - replaced
        if not new:
            return interpreter._LangPatchScope()
        is_launch = not replaced
        replaced.update(new)
        return _Launch(replace(fn), replaced) if is_launch else replace(fn)

    interpreter._patch_lang = replace_new


if DEVICE == "cpu" and find_spec("triton"):
    from triton.runtime import interpreter

    if hasattr(interpreter, "_patch_lang"):  # private: without it the tests are slower, and the same
        replace_language_once_a_launch(interpreter)
