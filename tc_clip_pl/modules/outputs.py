"""What the model and its parts return, with the shape of each field."""

from dataclasses import dataclass

from torch import Tensor
from transformers.utils import ModelOutput


@dataclass
class LayerOutput:
    """One vision layer.

    Attributes:
        hidden_states: (B, T, N, D) frame tokens; (B, T, 1, D), [CLS] alone, where only that was asked for.
        context_tokens: (B, K, D), or None where the layer makes none.
        sources: (B, K, T * P) bool, or None.
        attentions: (B, T, H, N, N + R), R reference keys behind the frame's own, or None.
    """

    hidden_states: Tensor
    context_tokens: Tensor | None = None
    sources: Tensor | None = None
    attentions: Tensor | None = None


@dataclass
class VideoEncoding:
    """The vision encoder.

    Attributes:
        cls_tokens: (B, T, D), [CLS] of every frame after the post layer norm.
        context_tokens: (B, K, D) of the last layer, after the post layer norm; None where it makes none.
        prompting_tokens: (B, R, D) that the prompting reads, after the post layer norm; None where it reads none.
        sources: one entry per layer, as in `LayerOutput`.
        attentions: one entry per layer, as in `LayerOutput`.
    """

    cls_tokens: Tensor
    context_tokens: Tensor | None
    prompting_tokens: Tensor | None
    sources: tuple[Tensor | None, ...]
    attentions: tuple[Tensor | None, ...]


@dataclass
class ClassEncoding:
    """All that the text encoder knows of the classes before it has seen a video.

    Attributes:
        prompts: (M, d) prompt states before the last layer; the same for every class, as the attention is causal.
        residual: (Y, d) EOS states before the last layer.
        query: (Y, H, d / H) scaled EOS queries of the last layer.
        output: (Y, H, d / H) their attention over SOS and the class tokens.
        log_sum_exp: (Y, H) of the scores behind ``output``.
    """

    prompts: Tensor
    residual: Tensor
    query: Tensor
    output: Tensor
    log_sum_exp: Tensor


@dataclass
class TCCLIPOutput(ModelOutput):
    """The whole model.

    Attributes:
        logits: (B, Y), exp(logit_scale) times the cosine similarity.
        video_embeds: (B, E), unit norm.
        frame_embeds: (B, T, E), projected [CLS] tokens, not normalized.
        context_tokens: (B, K, E), of the last layer, projected; None where it makes none.
        text_embeds: (B, Y, E), conditioned on each video, not normalized; (Y, E) where the video plays no part.
        sources: with ``return_sources=True``, per layer (B, K, T * P) bool, the positions (frame-major) merged into
            each context token; None for a layer that makes none.
        attentions: with ``return_attentions=True``, per layer (B, T, H, N, N + K), rows adding up to 1.
    """

    logits: Tensor | None = None
    video_embeds: Tensor | None = None
    frame_embeds: Tensor | None = None
    context_tokens: Tensor | None = None
    text_embeds: Tensor | None = None
    sources: tuple[Tensor | None, ...] | None = None
    attentions: tuple[Tensor | None, ...] | None = None
