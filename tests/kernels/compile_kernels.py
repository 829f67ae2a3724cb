"""Compile the kernels for an H100, without one: what Triton's interpreter runs may still not compile.

Run in a process of its own, without the interpreter. Prints the names of the kernels that compile.
"""

import torch
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from triton.runtime.jit import JITFunction, mangle_type

from tc_clip_pl.kernels import attention_backward, attention_forward, matching

OPTIONS = ("num_warps", "num_stages")


def compile_only(kernel, *args, grid, warmup, **kwargs):
    """Compile a kernel instead of launching it."""
    del grid, warmup
    options = {name: kwargs.pop(name) for name in OPTIONS if name in kwargs}
    values = dict(zip((parameter.name for parameter in kernel.params), args, strict=False)) | kwargs
    constants = {
        item.name: values[item.name] for item in kernel.params if item.is_constexpr or values[item.name] is None
    }
    types = {name: "constexpr" if name in constants else mangle_type(value) for name, value in values.items()}
    compile(ASTSource(kernel, types, constants), target=GPUTarget("cuda", 90, 32), options=options)
    print(kernel.__name__)


if __name__ == "__main__":
    JITFunction.run = compile_only
    matching.ENOUGH_ROUNDS = 1
    matching._match_tokens(torch.randn(1, 1600, 64), 1400, 90)  # one round on products, and one without
    rows = [torch.randn(1, 2, 2, 33, 64, dtype=torch.bfloat16) for _ in range(3)]
    context = [torch.randn(1, 2, 16, 64, dtype=torch.bfloat16) for _ in range(2)]
    difference = torch.zeros(2)
    output, sums = attention_forward.run_forward(*rows, *context, difference)
    attention_backward.run_backward(*rows, *context, difference, output, sums, output)
