"""Training in less memory: the backward pass recomputes the layers, all but what is costly and small."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch._guards import TracingContext
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts
from transformers import PreTrainedModel

# Beginnings of the names of operators whose outputs are kept: attention, seeds, and the kernels of this package.
KEPT = ("aten::_scaled_dot_product", "aten::topk", "tcclip::")

Choice = TypeVar("Choice")
Take = Callable[[Callable[[], Any]], Any]
_take: ContextVar[Take | None] = ContextVar("take", default=None)


def recompute_activations(model: PreTrainedModel) -> None:
    """Let training keep of each layer its input, the output of its attention, and its choices of tokens.

    Layer norms, projections and the MLP run again in the backward pass.

    Args:
        model: A backbone, or a system made of its layers.
    """
    # transformers renames it; the old name warns.
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False, "context_fn": _contexts})


def keep_choice(choose: Callable[[], Choice]) -> Choice:
    """Choose without gradient; where a layer is recomputed, return what its forward pass chose.

    Rounding would otherwise decide anew: sums of a GPU differ from call to call.
    """
    take = None if torch.compiler.is_compiling() else _take.get()  # compiled code keeps the outputs of `KEPT`
    return choose() if take is None else take(choose)


def _contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
    """Return the contexts of a layer's forward pass and of its recomputation."""
    forward, recomputation = create_selective_checkpoint_contexts(_policy)
    # The compiler asks for the bare contexts while it traces: in Dynamo, or, up to PyTorch 2.11 at least, after it.
    if torch.compiler.is_compiling() or TracingContext.try_get() is not None:
        return forward, recomputation
    choices: list[Any] = []

    def record(choose: Callable[[], Any]) -> Any:
        choices.append(choose())
        return choices[-1]

    return _taking(record, forward), _taking(lambda choose: choices.pop(0), recomputation)


@contextmanager
def _taking(take: Take, mode: AbstractContextManager) -> Iterator[None]:
    token = _take.set(take)
    try:
        with mode:
            yield
    finally:
        _take.reset(token)


def _policy(context: Any, operator: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    is_kept = operator.name().startswith(KEPT)
    return CheckpointPolicy.MUST_SAVE if is_kept else CheckpointPolicy.PREFER_RECOMPUTE
