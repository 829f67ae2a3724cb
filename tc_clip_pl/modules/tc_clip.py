"""TC-CLIP: CLIP with Temporal Contextualization and Video-conditional Prompting (Figs. 4 and 5)."""

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPModel, PreTrainedTokenizerBase

from tc_clip_pl.modules.class_cache import ClassCache
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.outputs import TCCLIPOutput
from tc_clip_pl.modules.prompt_learner import PromptLearner
from tc_clip_pl.modules.text_encoder import find_eos
from tc_clip_pl.modules.text_prompting import PROMPTINGS
from tc_clip_pl.modules.tokenizer import tokenize_class_names
from tc_clip_pl.modules.video_prompting import PromptGenerationLayer
from tc_clip_pl.modules.vision_encoder import TCVisionModel
from tc_clip_pl.ops.cosine_logits import cosine_logits, pool_frames


class TCCLIP(CLIPModel):
    """A `CLIPModel` for videos. CLIP's parameters keep their names, so CLIP's weights load untouched.

    The vision model takes videos, so of `CLIPModel`'s methods only those for text still apply.

    Args:
        config: CLIP's configuration with the paper's numbers.

    Attributes:
        tokenizer: the tokenizer of the CLIP that the model was made from, or None.
        class_input_ids: (Y, L) token ids of the classes, or None before they are set.

    Example:
        >>> model = TCCLIP.from_pretrained("openai/clip-vit-base-patch16", num_frames=16)  # doctest: +SKIP
        >>> model.set_class_names(["brush hair", "cartwheel"])  # doctest: +SKIP
        >>> model(video).logits  # doctest: +SKIP
    """

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
        self.prompt_learner = PromptLearner(config) if config.has_prompt_vectors else None
        self.prompt_generation_layer = PromptGenerationLayer(config.text_config) if config.reads_vision else None
        self.text_model.embeddings.token_embedding.requires_grad_(False)
        self.register_buffer("class_input_ids", None, persistent=False)
        self.register_buffer("class_eos", None, persistent=False)
        self.tokenizer: PreTrainedTokenizerBase | None = None
        self._class_cache = ClassCache()
        self.post_init()

    def forward(self, video: Tensor, return_sources: bool = False, return_attentions: bool = False) -> TCCLIPOutput:
        """Scores every video against every class.

        Args:
            video: (B, T, 3, H, W) normalized pixels.
            return_sources: also return the positions merged into each context token, layer by layer.
            return_attentions: also return the attention weights, layer by layer.

        Raises:
            RuntimeError: where no class names have been set.
            ValueError: where the video has the wrong shape or too few frames.
        """
        classes = self.encode_classes()
        encoding = self.vision_model(video, return_sources, return_attentions)
        frame_embeds = self.visual_projection(encoding.cls_tokens)
        context_tokens, prompting_tokens = (
            None if tokens is None else self.visual_projection(tokens)
            for tokens in (encoding.context_tokens, encoding.prompting_tokens)
        )
        video_embeds = pool_frames(frame_embeds)
        text_embeds = self.prompting.condition(self, classes, prompting_tokens)
        return TCCLIPOutput(
            logits=cosine_logits(video_embeds, text_embeds, self.logit_scale),
            video_embeds=video_embeds,
            frame_embeds=frame_embeds,
            context_tokens=context_tokens,
            text_embeds=text_embeds,
            sources=encoding.sources if return_sources else None,
            attentions=encoding.attentions if return_attentions else None,
        )

    def set_class_names(self, class_names: Sequence[str]) -> None:
        """Sets the classes by name; the position in the list is the label.

        Raises:
            ValueError: where the model has no tokenizer, the list is empty, or a name is too long for the text encoder.
        """
        if self.tokenizer is None:
            raise ValueError(
                "This model has no tokenizer: set its `tokenizer`, or give token ids to `set_class_tokens`."
            )
        self.set_class_tokens(tokenize_class_names(self.tokenizer, class_names, self.config))

    def set_class_tokens(self, input_ids: Tensor) -> None:
        """Sets the classes by the token ids of "{prompt template} {class name}.".

        Args:
            input_ids: (Y, L) int64, SOS first, anything behind EOS.

        Raises:
            ValueError: where the shape is wrong, a row has no EOS token, or a text is too long for the text encoder.
        """
        if input_ids.ndim != 2 or len(input_ids) == 0:
            raise ValueError(f"Class tokens are (Y, L) with at least one class, not {tuple(input_ids.shape)}.")
        eos = find_eos(input_ids, self.config.text_config.eos_token_id)
        added = 0
        if self.prompt_learner is not None:
            added = self.config.num_prompt_vectors - len(self.config.prompt_token_ids)
        length, room = int(eos.max()) + 1, self.config.text_config.max_position_embeddings
        if length + added > room:
            raise ValueError(f"A class text of {length + added} tokens does not fit into the text encoder's {room}.")
        self.class_input_ids = input_ids[:, :length].to(self.device)  # padding behind EOS is never read
        self.class_eos = (eos + added).to(self.device)

    def encode_classes(self) -> Any:
        """The part of the text encoder that no video changes; kept between batches in evaluation without gradient."""
        if self.class_input_ids is None:
            raise RuntimeError("No classes are set: call `set_class_names` or `set_class_tokens` first.")
        if self.training or torch.is_grad_enabled():
            self._class_cache.clear()
            return self._encode_classes()
        return self._class_cache.get(self._class_tensors(), self._encode_classes)

    def _class_tensors(self) -> list[Tensor]:
        parts = (self.text_model, self.text_projection, self.prompt_learner)
        return [self.class_input_ids, *(p for part in parts if part is not None for p in part.parameters())]

    def _encode_classes(self) -> Any:
        inputs_embeds = self.text_model.embeddings.token_embedding(self.class_input_ids)
        if self.prompt_learner is not None:
            inputs_embeds = self.prompt_learner(inputs_embeds)
        return self.prompting.encode(self, inputs_embeds, self.class_eos)

    def new_parameter_names(self) -> set[str]:
        """Names of the parameters that CLIP does not have: bias, prompt vectors and prompting block."""
        bias = {name for name, _ in self.named_parameters() if name.endswith("local_global_bias")}
        return bias | self.prompting_parameter_names()

    def prompting_parameter_names(self) -> set[str]:
        """Names of the prompt vectors and the prompting block, which learn ten times faster (Appendix G.2)."""
        prefixes = ("prompt_learner.", "prompt_generation_layer.")
        return {name for name, _ in self.named_parameters() if name.startswith(prefixes)}

    def freeze(self, encoders: Sequence[str]) -> None:
        """Stops training CLIP's own parameters of encoders, their projections included; the new ones go on learning.

        Args:
            encoders: "vision", "text", or both.

        Raises:
            ValueError: for any other word.
        """
        parts = {
            "vision": (self.vision_model, self.visual_projection),
            "text": (self.text_model, self.text_projection),
        }
        unknown = [name for name in encoders if name not in parts]
        if unknown:
            raise ValueError(f"There is no encoder {unknown[0]!r} to freeze: choose {' or '.join(parts)}.")
        new = {id(p) for name, p in self.named_parameters() if name in self.new_parameter_names()}
        frozen = (p for name in encoders for part in parts[name] for p in part.parameters() if id(p) not in new)
        for parameter in frozen:
            parameter.requires_grad_(False)

    def clip_state_dict(self) -> dict[str, Tensor]:
        """The original weights of the CLIP that the model was made from, on the CPU, under this model's names.

        Raises:
            ValueError: where the model does not know its CLIP.
            OSError: where that CLIP is no longer there.
        """
        from tc_clip_pl.modules.loading import expand_clip_state_dict, load_clip

        if self.config.clip_name_or_path is None:
            raise ValueError("This model does not know the CLIP it was made from: set `config.clip_name_or_path`.")
        return expand_clip_state_dict(load_clip(self.config.clip_name_or_path).state_dict(), self.config)

    @classmethod
    def from_pretrained(cls, name_or_path: str | os.PathLike, **overrides: Any) -> "TCCLIP":
        """Loads a plain CLIP, or a saved TC-CLIP.

        Of a plain CLIP every weight must load; the new parameters start as the paper says: the bias from N(0, 0.02)
        truncated, the prompt vectors from the template, the prompting block from the last text layer (Table 13d).

        Args:
            name_or_path: a folder in Hugging Face's format or a name on its hub.
            **overrides: of `TCCLIPConfig`, such as ``num_frames=8``.

        Raises:
            OSError: where there is no such folder or name, or the hub cannot be reached.
            ValueError: where a weight is missing, left over or of another shape, or an override is unknown.
        """
        from tc_clip_pl.modules.loading import load_tc_clip

        return load_tc_clip(cls, super().from_pretrained, str(name_or_path), overrides)

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any) -> None:
        """Saves configuration, weights and tokenizer in Hugging Face's format."""
        super().save_pretrained(save_directory, **kwargs)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(save_directory)
