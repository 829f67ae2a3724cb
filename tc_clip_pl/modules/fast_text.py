"""The text side, compiled, and in training replayed as a CUDA graph: hundreds of classes, but short texts."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tc_clip_pl.modules.backbone.interface import call_layer
from tc_clip_pl.modules.training_graph import TrainingGraphs


class FastText:
    """Calls the two halves of a prompting: the first in training only, as evaluation keeps the classes.

    Args:
        every_size: Whether batches of every size are compiled, as in `FastEncoder`.
        weights_move: As in `FastEncoder`.
        backend: Of `torch.compile`.
    """

    def __init__(self, every_size: bool = False, weights_move: bool = False, backend: str = "inductor") -> None:
        self.every_size = every_size
        self._compile = partial(torch.compile, dynamic=False, backend=backend)
        self._run_layer = self._compile(call_layer)
        self._graphs = TrainingGraphs(weights_move)
        self._conditions: dict[Callable[..., Tensor], Callable[..., Tensor]] = {}
        self._most_videos = {True: 0, False: 0}
        self._backend = backend

    def encode(self, function: Callable[..., Any], inputs: Sequence[Tensor], parameters: Sequence[Tensor]) -> Any:
        """Encode the classes.

        Args:
            function: Takes the inputs, and what calls a layer as ``run_layer``.
            inputs: Token ids and positions of EOS.
            parameters: What the function reads besides.
        """
        return self._graphs(partial(function, run_layer=self._run_layer), inputs, parameters)

    def condition(self, function: Callable[..., Tensor], text: Any, classes: Any, vision_tokens: Tensor) -> Tensor:
        """Compute the text embeddings for videos; as the vision encoder, uncompiled for a smaller batch."""
        learns, num_videos = torch.is_grad_enabled(), vision_tokens.shape[0]
        if not self.every_size and num_videos < self._most_videos[learns]:
            return function(text, classes, vision_tokens)
        self._most_videos[learns] = num_videos
        compiled = self._conditions.setdefault(function, self._compile(function))
        return compiled(text, classes, vision_tokens)

    def __deepcopy__(self, memo: dict[int, Any]) -> "FastText":
        """Return one without compiled code and graphs, which cannot be copied."""
        return FastText(self.every_size, self._graphs.weights_move, self._backend)
