"""TC-CLIP: CLIP with Temporal Contextualization and Video-conditional Prompting (Figs. 4 and 5)."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from tc_clip_pl.modules.backbone.interface import (
    POSITION_TABLE,
    BackboneModel,
    call_layer,
    expand_state_dict,
    token_embedding,
)
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.fast_encoder import FastEncoder
from tc_clip_pl.modules.fast_text import FastText
from tc_clip_pl.modules.outputs import TCCLIPOutput, VideoEncoding
from tc_clip_pl.modules.prompt_learner import PromptLearner
from tc_clip_pl.modules.replays import Replays
from tc_clip_pl.modules.text_prompting import PROMPTINGS, TextSide
from tc_clip_pl.modules.tokenizer import CLASS_TEXT, tokenize_template
from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.modules.video_prompting import PromptGenerationLayer
from tc_clip_pl.modules.vision_encoder import TCVisionModel
from tc_clip_pl.ops.frame_pooling import FRAME_POOLINGS, pool_frames

PROMPTING_PARTS = r"^prompt_learner\.|^prompt_generation_layer\.|\.deep_prompts$"
TEXT_PARTS = ("text_model.", "text_projection.", "prompt_learner.")  # what the encoding of the classes reads
MANY_CLASSES = 1000  # from here on, compiling what evaluation does for each video pays off


class TCCLIP(VideoCLIP, BackboneModel):
    """A CLIP for videos. CLIP's parameters keep their names, so CLIP's weights load unchanged.

    The vision model takes videos, so of the methods of `CLIPModel` only those for text still apply.

    Args:
        config: CLIP's configuration with the paper's numbers.

    Attributes:
        fast_encoder: What `use_kernels` puts in place of `vision_model`, or None.
        fast_text: What `use_kernels` puts in place of the prompting, or None.
        replays: What `use_kernels` evaluates small batches with, or None.

    Example:
        >>> model = TCCLIP.from_pretrained("openai/clip-vit-base-patch16", num_frames=16)  # doctest: +SKIP
        >>> model.set_class_names(["brush hair", "cartwheel"])  # doctest: +SKIP
        >>> model(video).logits  # doctest: +SKIP
    """

    title = "TC-CLIP"
    config: TCCLIPConfig
    config_class = TCCLIPConfig
    main_input_name = "video"

    def __init__(self, config: TCCLIPConfig) -> None:
        super().__init__(config)
        if config.reads_vision and config.projection_dim != config.text_config.hidden_size:
            raise ValueError(
                f"The prompting block needs a CLIP whose projection_dim ({config.projection_dim}) is the width of its "
                f"text encoder ({config.text_config.hidden_size})."
            )
        self.vision_model = TCVisionModel(config)
        self.prompting = PROMPTINGS[config.prompting]
        self.pool_logits = FRAME_POOLINGS[config.frame_pooling]
        self.prompt_learner = PromptLearner(config) if config.has_prompt_vectors else None
        self.prompt_generation_layer = PromptGenerationLayer(config.text_config) if config.reads_vision else None
        self.fast_encoder: FastEncoder | None = None
        self.fast_text: FastText | None = None
        self.replays: Replays | None = None
        self.post_init()
        self.freeze_fixed()

    def forward(self, video: Tensor, return_sources: bool = False, return_attentions: bool = False) -> TCCLIPOutput:
        """Score every video against every class.

        Args:
            video: (B, T, 3, H, W) normalized pixels.
            return_sources: Also return the positions merged into each context token, layer by layer.
            return_attentions: Also return the attention weights, layer by layer.

        Raises:
            RuntimeError: If no class names are set.
            ValueError: If the video has the wrong shape or too few frames.
        """
        classes = self.encode_classes()
        encoding = self._encode_video(video, return_sources, return_attentions)
        output = self._replay(video, self._score, encoding, classes)
        if return_sources:
            output.sources = encoding.sources
        if return_attentions:
            output.attentions = encoding.attentions
        return output

    def _score(self, encoding: VideoEncoding, classes: Any) -> TCCLIPOutput:
        frame_embeds = self.visual_projection(encoding.cls_tokens)
        context_tokens, prompting_tokens = (
            None if tokens is None else self.visual_projection(tokens)
            for tokens in (encoding.context_tokens, encoding.prompting_tokens)
        )
        text_embeds = self._condition_classes(classes, prompting_tokens)
        return TCCLIPOutput(
            logits=self.pool_logits(frame_embeds, text_embeds, self.logit_scale),
            video_embeds=pool_frames(frame_embeds),
            frame_embeds=frame_embeds,
            context_tokens=context_tokens,
            text_embeds=text_embeds,
        )

    def embed_videos(self, video: Tensor) -> Tensor:
        """Compute the (B, E) unit-norm embeddings of (B, T, 3, H, W) normalized pixels; no classes are needed."""
        return pool_frames(self.visual_projection(self._encode_video(video).cls_tokens))

    def embed_classes(self) -> Tensor:
        """Compute the (Y, E) embeddings of the classes where there is no video yet, as for search, not normalized.

        Where the prompting reads videos, these are the texts with the learned prompt vectors alone.

        Raises:
            RuntimeError: If no class names are set.
            ValueError: If the prompting has no texts without a video.
        """
        if not hasattr(self.prompting, "unconditioned"):
            raise ValueError(f"The prompting {self.config.prompting} has no texts without a video to search by.")
        return self.prompting.unconditioned(self._text_side(), self.encode_classes())

    def _encode_video(
        self, video: Tensor, return_sources: bool = False, return_attentions: bool = False
    ) -> VideoEncoding:
        if return_sources or return_attentions:  # a look inside is not worth compiling
            return self.vision_model(video, return_sources, return_attentions)
        return self._replay(video, self._encode_frames, video)

    def _encode_frames(self, video: Tensor) -> VideoEncoding:
        return self.vision_model(video) if self.fast_encoder is None else self.fast_encoder(video)

    def _replay(self, video: Tensor, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a step of the forward pass of a video, as a CUDA graph where that is faster."""
        if self.replays is None or self.training or not self.replays.fits(video):
            return function(*arguments)
        return self.replays(function, self.visual_projection.weight, *arguments)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "TCCLIP":
        self.replays = None if self.replays is None else Replays()  # graphs read the weights where they were
        return super()._apply(fn, recurse)

    def _encode_classes(self) -> Any:
        if self.fast_text is None or not self.training:
            return self._encode_tokens(*self.encoded_texts)
        return self.fast_text.encode(self._encode_tokens, self.encoded_texts, self._text_parameters())

    def _choose_texts(self) -> tuple[Tensor, Tensor]:
        texts = super()._choose_texts()
        choose = getattr(self.prompting, "choose_texts", None)
        return choose(*texts) if choose is not None and self.training else texts

    def _text_parameters(self) -> list[nn.Parameter]:
        return [parameter for name, parameter in self.named_parameters() if name.startswith(TEXT_PARTS)]

    def _encode_tokens(self, input_ids: Tensor, eos: Tensor, run_layer: Callable[..., Tensor] = call_layer) -> Any:
        inputs_embeds = token_embedding(self.text_model)(input_ids)
        if self.prompt_learner is not None:
            inputs_embeds = self.prompt_learner(inputs_embeds)
        return self.prompting.encode(self._text_side(run_layer), inputs_embeds, eos)

    def _condition_classes(self, classes: Any, prompting_tokens: Tensor | None) -> Tensor:
        condition, text = self.prompting.condition, self._text_side()
        is_costly = self.training or self.class_input_ids.shape[-2] >= MANY_CLASSES
        if self.fast_text is None or not is_costly or prompting_tokens is None:
            return condition(text, classes, prompting_tokens)
        return self.fast_text.condition(condition, text, classes, prompting_tokens)

    def _text_side(self, run_layer: Callable[..., Tensor] = call_layer) -> TextSide:
        # Made anew in every call, because a strategy that shards the model replaces its submodules.
        return TextSide(
            text_model=self.text_model,
            text_projection=self.text_projection,
            prompt_generation_layer=self.prompt_generation_layer,
            num_prompt_vectors=self.config.num_prompt_vectors,
            prompting_layer=self.config.text_layer - 1,
            run_layer=run_layer,
        )

    # What `VideoCLIP` asks of a system

    @property
    def class_text(self) -> str | Sequence[str]:
        """The text of a class, with {} in place of its name; the configuration or the prompting may have several."""
        return self.config.class_templates or getattr(self.prompting, "class_text", CLASS_TEXT)

    @property
    def num_added_tokens(self) -> int:
        """By how many tokens the prompt vectors make a text longer than the template does; may be negative."""
        return self.config.num_added_tokens

    def new_parameter_names(self) -> set[str]:
        """Return the names of the parameters that CLIP does not have: bias, prompts and prompting block."""
        bias = {name for name, _ in self.named_parameters() if name.endswith("local_global_bias")}
        return bias | self.prompting_parameter_names()

    def prompting_parameter_names(self) -> set[str]:
        """Return the names of prompts and prompting block; these learn ten times faster (Appendix G.2)."""
        return {name for name, _ in self.named_parameters() if re.search(PROMPTING_PARTS, name)}

    def position_parameter_names(self) -> set[str]:
        """Return the name of a joint positional embedding; empty if all frames share CLIP's (Table 9a)."""
        if self.config.positional_embedding != "joint":
            return set()
        return {name for name, _ in self.named_parameters() if name.endswith(POSITION_TABLE)}

    def freeze_fixed(self) -> None:
        """Freeze the token embedding table, unless the configuration wants it trained."""
        if not self.config.train_token_embeddings:
            token_embedding(self.text_model).requires_grad_(False)

    @classmethod
    def build_config(
        cls, stored: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, **overrides: Any
    ) -> TCCLIPConfig:
        """Build the configuration; the prompt template of a plain CLIP is tokenized by its own tokenizer."""
        config = super().build_config(stored, tokenizer, **overrides)
        if stored["model_type"] != cls.config_class.model_type:
            config.prompt_token_ids = tokenize_template(tokenizer)
        return config

    def adapt_clip_weights(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Repeat CLIP's position table for every frame if the positional embedding is joint."""
        return expand_state_dict(weights, self.config.num_position_tables)

    def start_new_parameters(self) -> None:
        """Start the prompt vectors from the template and the prompting block from the last text layer (Table 13d).

        The bias starts from a truncated N(0, 0.02), and so does what the configuration wants to be random.
        """
        config = self.config
        if config.has_prompt_vectors and config.prompt_init == "template":
            template = token_embedding(self.text_model).weight[list(config.prompt_token_ids)]
            self.prompt_learner.initialize_from_template(template)
        if config.reads_vision and config.prompting_init == "clip":
            self.prompt_generation_layer.initialize_from_layer(self.text_model.encoder.layers[-1])
