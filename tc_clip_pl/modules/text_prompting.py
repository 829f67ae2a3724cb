"""From class names to text embeddings, with or without the video (Tables 10, 13 and 14).

Every choice has two halves. `encode` sees the classes alone, so its result serves all batches until weights or classes
change; `condition` adds what depends on the video. A new choice is a class with these two, registered under a
name or given by its import path.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from tc_clip_pl.modules.backbone.interface import TextModel, add_positions, call_layer, run_layers
from tc_clip_pl.modules.text_encoder import condition_early, condition_last, encode_classes, encode_text
from tc_clip_pl.modules.video_prompting import PromptGenerationLayer
from tc_clip_pl.registry import Registry

BLOCK_OPTIONS = ("prompting_tokens", "prompting_vision_layer", "prompting_init")
VECTOR_OPTIONS = ("num_prompt_vectors", "prompt_init")


@dataclass(frozen=True)
class TextSide:
    """The part of the model that turns token embeddings into text embeddings.

    Attributes:
        text_model: The text model of the backbone.
        text_projection: From text features, (..., D), to the joint space, (..., E).
        prompt_generation_layer: The prompting block; None if the prompting reads no vision tokens.
        num_prompt_vectors: M.
        prompting_layer: The text layer, counted from 0, before which the prompting block runs.
        run_layer: Calls a text layer with its arguments while the classes are encoded; a compiled one is faster.
    """

    text_model: TextModel
    text_projection: nn.Module
    prompt_generation_layer: PromptGenerationLayer | None
    num_prompt_vectors: int
    prompting_layer: int
    run_layer: Callable[..., Tensor] = call_layer

    @property
    def prompts_last_layer(self) -> bool:
        """Whether the prompting block runs before the last layer."""
        return self.prompting_layer == len(self.text_model.encoder.layers) - 1


class Prompting(Protocol):
    """How class names become text embeddings.

    A choice whose texts are not "a photo of a {class name}." names its own in a class attribute `class_text`: one, or
    a tuple of several, as in `prompt_ensembles.py`. One that also serves search by words, where there is no video yet,
    has a third method: ``unconditioned(text, classes)`` returns the (Y, E) text embeddings before any video has changed
    them. One that reads only some of its texts in a training step has ``choose_texts(input_ids, eos)``, which returns
    the token ids and positions of EOS of these.
    """

    @staticmethod
    def encode(text: TextSide, inputs_embeds: Tensor, eos: Tensor) -> Any:
        """Compute what `condition` needs of the classes.

        Args:
            text: The text side of the model.
            inputs_embeds: (Y, L, D) token embeddings, prompt vectors included; (S, Y, L, D) of S texts per class.
            eos: (Y,) or (S, Y) positions of EOS.
        """

    @staticmethod
    def condition(text: TextSide, classes: Any, vision_tokens: Tensor | None) -> Tensor:
        """Compute text embeddings for videos.

        Args:
            text: The text side of the model.
            classes: The result of `encode`.
            vision_tokens: (B, R, E) projected vision tokens; None if the prompting reads none.

        Returns:
            (B, Y, E) text embeddings; (Y, E) if they do not depend on the video.
        """


PROMPTINGS: Registry[type[Prompting]] = Registry("prompting")


@PROMPTINGS.register("template")
class Template:
    """The hand-written "a photo of a {class name}.", the same for every video: as in CLIP and ViFi-CLIP."""

    @staticmethod
    def encode(text: TextSide, inputs_embeds: Tensor, eos: Tensor) -> Tensor:
        """Compute the (Y, E) text embeddings."""
        return text.text_projection(encode_text(text.text_model, inputs_embeds, eos, text.run_layer))

    @staticmethod
    def condition(text: TextSide, classes: Tensor, vision_tokens: None) -> Tensor:
        """Return the (Y, E) text embeddings unchanged."""
        return classes

    @staticmethod
    def unconditioned(text: TextSide, classes: Tensor) -> Tensor:
        """Return the (Y, E) text embeddings."""
        return classes


@PROMPTINGS.register("class_name")
class ClassName(Template):
    """The bare class name without template and full stop: the paper's rows of vanilla CLIP."""

    class_text: ClassVar[str] = "{}"


@PROMPTINGS.register("learnable", reads=VECTOR_OPTIONS)
class Learnable(Template):
    """Prompt vectors in place of the template, the same for every video (Table 10a)."""


@PROMPTINGS.register("video_conditional", reads=(*BLOCK_OPTIONS, *VECTOR_OPTIONS, "prompting_text_layer"))
class VideoConditional:
    """Video-conditional Prompting (Fig. 5, Eqs. 12-15): prompt vectors read vision tokens inside the text encoder."""

    @staticmethod
    def encode(text: TextSide, inputs_embeds: Tensor, eos: Tensor) -> Any:
        """Compute a `ClassEncoding` if the block runs before the last layer, else the states before its layer."""
        if text.prompts_last_layer:
            return encode_classes(text.text_model, inputs_embeds, eos, text.num_prompt_vectors, text.run_layer)
        states = add_positions(text.text_model, inputs_embeds)
        return run_layers(text.text_model, states, 0, text.prompting_layer, text.run_layer), eos

    @staticmethod
    def condition(text: TextSide, classes: Any, vision_tokens: Tensor) -> Tensor:
        """Compute the (B, Y, E) text embeddings.

        A pair of video and class costs one token of the last layer, or all tokens of all remaining layers if the block
        runs earlier.
        """
        if text.prompts_last_layer:
            prompts = text.prompt_generation_layer(classes.prompts, vision_tokens)
            return text.text_projection(condition_last(text.text_model, classes, prompts))
        states, eos = classes
        # The prompt states are the same for every class, because attention is causal; those of the first class serve.
        prompts = text.prompt_generation_layer(states[0, 1 : 1 + text.num_prompt_vectors], vision_tokens)
        return text.text_projection(condition_early(text.text_model, states, eos, prompts, text.prompting_layer))

    @staticmethod
    def unconditioned(text: TextSide, classes: Any) -> Tensor:
        """Compute the (Y, E) text embeddings with the learned prompt vectors alone: Eqs. 13 and 14 add nothing."""
        if text.prompts_last_layer:
            return text.text_projection(condition_last(text.text_model, classes, classes.prompts[None]))[0]
        states, eos = classes
        prompts = states[:1, 1 : 1 + text.num_prompt_vectors]
        return text.text_projection(condition_early(text.text_model, states, eos, prompts, text.prompting_layer))[0]


@PROMPTINGS.register("late_fusion", reads=(*BLOCK_OPTIONS, *VECTOR_OPTIONS))
class LateFusion(Learnable):
    """Vision-text late fusion: the finished text embeddings read the vision tokens (Tables 10d and 14)."""

    @staticmethod
    def condition(text: TextSide, classes: Tensor, vision_tokens: Tensor) -> Tensor:
        """Compute the (B, Y, E) text embeddings."""
        return text.prompt_generation_layer(classes, vision_tokens)
