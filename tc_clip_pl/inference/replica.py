"""The model on one device: uint8 clips and labels in, probabilities or embeddings out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import normalize as normalize_rows

from datamodules.options import ClipOptions
from datamodules.transforms.augmentation import normalize
from tc_clip_pl.modules.acceleration import choose_kernels, use_kernels
from tc_clip_pl.modules.outputs import TCCLIPOutput
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.modules.video_clip import VideoCLIP

Result = TypeVar("Result")


class Replica:
    """A model on a device. Several threads may ask it at once, each with labels of its own.

    Args:
        model: The model.
        options: `mean` and `std` of its pixels.
        device: Where it runs; bf16 autocast on a GPU.
    """

    def __init__(self, model: VideoCLIP, options: ClipOptions, device: torch.device) -> None:
        self.model, self.options, self.device = model.to(device).eval(), options, device
        if isinstance(model, TCCLIP):
            # Not compiled: that takes longer than an answer.
            use_kernels(model, choose_kernels("auto", device, fastest="triton"), device)
        self._labels: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def check_labels(self, labels: Sequence[str]) -> None:
        """Check that the text encoder can read the labels.

        Raises:
            ValueError: One is too long.
        """
        with self._lock:
            self._set_labels(tuple(labels))

    def score(self, video: Tensor, labels: Sequence[str]) -> Tensor:
        """Compute the (B, Y) probabilities of labels for (B, V, T, 3, H, W) uint8 clips, averaged over the views."""
        scores = [output.logits.float().softmax(-1) for output in self.outputs(video, labels)]
        return torch.stack(scores).mean(0).cpu()

    def outputs(self, video: Tensor, labels: Sequence[str], look_inside: bool = False) -> list[TCCLIPOutput]:
        """Compute what the model returns for each view of (B, V, T, 3, H, W) uint8 clips.

        Args:
            video: The clips.
            labels: Class names.
            look_inside: Whether to return sources and attentions too, which take memory.
        """
        with self._lock, torch.inference_mode():  # the labels are a state of the model
            self._set_labels(tuple(labels))
            return list(self._views(video, look_inside))

    def embed(self, video: Tensor) -> Tensor:
        """Compute the (B, E) unit-norm embeddings of (B, V, T, 3, H, W) uint8 clips, averaged over the views."""
        with self._lock, torch.inference_mode():
            views = [self._autocast(self.model.embed_videos, view).float() for view in video.unbind(1)]
            return normalize_rows(torch.stack(views).mean(0), dim=-1).cpu()

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Compute the (Y, E) unit-norm embeddings of texts, without a video: see `TCCLIP.embed_classes`.

        Raises:
            ValueError: A text is too long, or the model has no texts without a video.
        """
        with self._lock, torch.inference_mode():
            self._set_labels(tuple(texts))
            return normalize_rows(self.model.embed_classes().float(), dim=-1).cpu()

    def _views(self, video: Tensor, look_inside: bool) -> Iterator[TCCLIPOutput]:
        inside = {"return_sources": True, "return_attentions": True} if look_inside else {}
        function = partial(self.model, **inside)
        for view in video.unbind(1):  # one at a time, so that memory does not grow with the views
            yield self._autocast(function, view)

    def _autocast(self, function: Callable[[Tensor], Result], view: Tensor) -> Result:
        pixels = normalize(view.to(self.device, non_blocking=True), self.options.mean, self.options.std)
        is_gpu = self.device.type == "cuda"
        # Triton launches on the current device, which belongs to the thread.
        current = torch.cuda.device(self.device) if is_gpu else nullcontext()
        with current, torch.autocast(self.device.type, torch.bfloat16, enabled=is_gpu):
            return function(pixels)

    def _set_labels(self, labels: tuple[str, ...]) -> None:
        if labels != self._labels:  # setting them anew would encode them anew
            self.model.set_class_names(labels)
            self._labels = labels
