"""From class names to text embeddings, with or without the video (Tables 10, 13 and 14).

Every way has two halves. `encode` sees the classes alone, so that its result serves all batches until weights or
classes change; `condition` adds what a video has to say. A new way is a class with these two, registered under a name.
"""

from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from tc_clip_pl.modules.outputs import LayerOutput
from tc_clip_pl.modules.text_encoder import condition_early, condition_last, encode_classes, encode_text, run_layers
from tc_clip_pl.registry import Registry

if TYPE_CHECKING:
    from tc_clip_pl.modules.tc_clip import TCCLIP

BLOCK_OPTIONS = ("prompting_tokens", "prompting_vision_layer", "prompting_init")
VECTOR_OPTIONS = ("num_prompt_vectors", "prompt_init")


class Prompting(Protocol):
    """A way from class names to text embeddings."""

    @staticmethod
    def encode(model: "TCCLIP", inputs_embeds: Tensor, eos: Tensor) -> Any:
        """(Y, L, d) token embeddings and (Y,) positions of EOS to whatever `condition` needs of the classes."""

    @staticmethod
    def condition(model: "TCCLIP", classes: Any, vision_tokens: Tensor | None) -> Tensor:
        """The above and (B, R, E) vision tokens to (B, Y, E) text embeddings; (Y, E) where the video plays no part."""


PROMPTINGS: Registry[type[Prompting]] = Registry("prompting")
PROMPTING_TOKENS: Registry[Any] = Registry("prompting_tokens")


@PROMPTINGS.register("template")
class Template:
    """The hand-written "a photo of a {class name}.", the same for every video: as in CLIP and ViFi-CLIP."""

    @staticmethod
    def encode(model: "TCCLIP", inputs_embeds: Tensor, eos: Tensor) -> Tensor:
        """(Y, E) text embeddings."""
        return model.text_projection(encode_text(model.text_model, inputs_embeds, eos))

    @staticmethod
    def condition(model: "TCCLIP", classes: Tensor, vision_tokens: None) -> Tensor:
        """(Y, E), unchanged."""
        return classes


@PROMPTINGS.register("learnable", reads=VECTOR_OPTIONS)
class Learnable(Template):
    """Prompt vectors in the place of the template, the same for every video (Table 10a)."""


@PROMPTINGS.register("video_conditional", reads=(*BLOCK_OPTIONS, *VECTOR_OPTIONS, "prompting_text_layer"))
class VideoConditional:
    """Video-conditional Prompting (Fig. 5, Eqs. 12-15): the prompt vectors read vision tokens on their way."""

    @staticmethod
    def encode(model: "TCCLIP", inputs_embeds: Tensor, eos: Tensor) -> Any:
        """A `ClassEncoding` before the last layer; before an earlier one the states there."""
        config, text_model = model.config, model.text_model
        if config.text_layer == config.text_config.num_hidden_layers:
            return encode_classes(text_model, inputs_embeds, eos, config.num_prompt_vectors)
        states = inputs_embeds + text_model.embeddings.position_embedding.weight[: inputs_embeds.shape[1]]
        return run_layers(text_model, states, 0, config.text_layer - 1), eos

    @staticmethod
    def condition(model: "TCCLIP", classes: Any, vision_tokens: Tensor) -> Tensor:
        """(B, Y, E). A pair of video and class costs one token of the last layer, or all tokens of the layers left."""
        if not isinstance(classes, tuple):
            prompts = model.prompt_generation_layer(classes.prompts, vision_tokens)
            return model.text_projection(condition_last(model.text_model, classes, prompts))
        states, eos = classes
        prompts = model.prompt_generation_layer(states[0, 1 : 1 + model.config.num_prompt_vectors], vision_tokens)
        features = condition_early(model.text_model, states, eos, prompts, model.config.text_layer - 1)
        return model.text_projection(features)


@PROMPTINGS.register("late_fusion", reads=(*BLOCK_OPTIONS, *VECTOR_OPTIONS))
class LateFusion(Learnable):
    """Vision-text late fusion: the finished text embeddings read the vision tokens (Tables 10d and 14)."""

    @staticmethod
    def condition(model: "TCCLIP", classes: Tensor, vision_tokens: Tensor) -> Tensor:
        """(B, Y, E)."""
        return model.prompt_generation_layer(classes, vision_tokens)


@PROMPTING_TOKENS.register("context", reads=("seed_selection", "aggregation"))
def context_tokens(output: LayerOutput) -> Tensor:
    """The context tokens of the layer, (B, K, D): the paper's choice."""
    return output.context_tokens


@PROMPTING_TOKENS.register("cls")
def cls_tokens(output: LayerOutput) -> Tensor:
    """[CLS] of every frame, (B, T, D)."""
    return output.hidden_states[:, :, 0]


@PROMPTING_TOKENS.register("pooled")
def pooled_tokens(output: LayerOutput) -> Tensor:
    """The mean over the patches of every frame ("GAP tokens"), (B, T, D)."""
    return output.hidden_states[:, :, 1:].mean(2)
