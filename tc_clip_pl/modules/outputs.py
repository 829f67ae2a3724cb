"""What the model and its parts return, with the shape of each field."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class LayerOutput:
    """Output of one vision layer.

    Attributes:
        hidden_states: (B, T, N, D) frame tokens; (B, T, 1, D), [CLS] alone, if only that was asked for.
        context_tokens: (B, K, D), or None if the layer makes none.
        sources: (B, K, T * P) bool, or None.
        attentions: (B, T, H, N, N + R) over the frame's own keys, then R reference keys, without those of deep prompts;
            or None.
    """

    hidden_states: Tensor
    context_tokens: Tensor | None = None
    sources: Tensor | None = None
    attentions: Tensor | None = None


@dataclass
class VideoEncoding:
    """Output of the vision encoder.

    Attributes:
        cls_tokens: (B, T, D), [CLS] of every frame after the post layer norm.
        context_tokens: (B, K, D) of the last layer, after the post layer norm; None if it makes none.
        prompting_tokens: (B, R, D) that the prompting reads, after the post layer norm; None if it reads none.
        sources: One entry per layer, as in `LayerOutput`.
        attentions: One entry per layer, as in `LayerOutput`.
    """

    cls_tokens: Tensor
    context_tokens: Tensor | None
    prompting_tokens: Tensor | None
    sources: tuple[Tensor | None, ...]
    attentions: tuple[Tensor | None, ...]


@dataclass
class ClassEncoding:
    """The classes as far as the text encoder can encode them without a video.

    Attributes:
        prompts: (M, D) prompt states before the last layer, the same for every class because attention is causal.
        residual: (Y, D) EOS states before the last layer.
        query: (Y, H, d) scaled EOS queries of the last layer.
        output: (Y, H, d) their attention over SOS and the class tokens.
        log_sum_exp: (Y, H) of the scores behind ``output``.
    """

    prompts: Tensor
    residual: Tensor
    query: Tensor
    output: Tensor
    log_sum_exp: Tensor


@dataclass
class TCCLIPOutput(ModelOutput):
    """Output of the whole model.

    Attributes:
        logits: (B, Y), exp(logit_scale) times the similarity that `frame_pooling` selects, by default the cosine.
        video_embeds: (B, E), the mean of the frame embeddings at unit norm, whatever the frame pooling.
        frame_embeds: (B, T, E), projected [CLS] tokens, not normalized.
        context_tokens: (B, K, E), of the last layer, projected; None if it makes none.
        text_embeds: (B, Y, E), conditioned on each video, not normalized; (Y, E) if they do not depend on the video.
        sources: With ``return_sources=True``, per layer (B, K, T * P) bool, the positions (frame by frame) merged into
            each context token; None for a layer that makes none.
        attentions: With ``return_attentions=True``, per layer (B, T, H, N, N + K), rows summing to 1, less what deep
            prompts take.
    """

    logits: Tensor | None = None
    video_embeds: Tensor | None = None
    frame_embeds: Tensor | None = None
    context_tokens: Tensor | None = None
    text_embeds: Tensor | None = None
    sources: tuple[Tensor | None, ...] | None = None
    attentions: tuple[Tensor | None, ...] | None = None


def tensors_of(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of an output: a tensor, or a tuple or dataclass of outputs."""
    if isinstance(value, Tensor):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from tensors_of(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from tensors_of(item)


def with_tensors(value: Any, tensors: Iterator[Tensor]) -> Any:
    """Return an output with other tensors in the order of `tensors_of`."""
    if isinstance(value, Tensor):
        return next(tensors)
    if is_dataclass(value):
        changes = {field.name: with_tensors(getattr(value, field.name), tensors) for field in fields(value)}
        return replace(value, **changes)
    if isinstance(value, tuple):
        return tuple(with_tensors(item, tensors) for item in value)
    return value
