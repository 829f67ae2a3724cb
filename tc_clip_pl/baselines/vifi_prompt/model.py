"""ViFi-CLIP with prompts: CLIP frame by frame, frozen, with learned vectors in the layers of both encoders."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from tc_clip_pl.baselines.frozen import freeze_all_but
from tc_clip_pl.baselines.pooled_clip import PooledCLIP
from tc_clip_pl.baselines.video_shape import check_video
from tc_clip_pl.baselines.vifi_prompt.config import ViFiPromptConfig
from tc_clip_pl.modules.backbone.interface import (
    VisionModel,
    add_positions,
    call_layer,
    normalize_output,
    run_layers,
    token_embedding,
)
from tc_clip_pl.modules.text_encoder import read_rows
from tc_clip_pl.modules.tokenizer import tokenize_template
from tc_clip_pl.ops.deep_prompts import (
    append_prompts,
    insert_after_first,
    replace_after_first,
    replace_last,
    run_prompted,
)


class ViFiPrompt(PooledCLIP):
    """The second stage of "Fine-tuned CLIP Models are Efficient Video Learners" (CVPR 2023): Tables 11 and 12.

    It starts from a ViFi-CLIP that was fine-tuned on Kinetics-400 (`model.init_from`); only the vectors are trained.

    Args:
        config: CLIP's configuration with the numbers of the prompts.

    Attributes:
        vision_prompts: (J, n, D), the vectors of the first J vision layers.
        text_prompts: (J', n, d), likewise for the text layers.

    Example:
        >>> model = ViFiPrompt.from_pretrained("openai/clip-vit-base-patch16", num_prompts=16)  # doctest: +SKIP
        >>> model.set_class_names(["brush hair", "cartwheel"])  # doctest: +SKIP
        >>> model(video).logits  # doctest: +SKIP
    """

    title = "ViFi-CLIP prompts"
    can_ensemble = False
    class_text = "{}."
    config: ViFiPromptConfig
    config_class = ViFiPromptConfig

    def __init__(self, config: ViFiPromptConfig) -> None:
        super().__init__(config)
        self.vision_model = VisionModel(config.vision_config)
        widths = config.vision_config.hidden_size, config.text_config.hidden_size
        shapes = (config.vision_layers, widths[0]), (config.text_layers, widths[1])
        self.vision_prompts, self.text_prompts = (
            nn.Parameter(nn.init.normal_(torch.empty(layers, config.num_prompts, width), std=0.02))
            for layers, width in shapes
        )
        self.post_init()
        self.freeze_fixed()

    def _embed_frames(self, video: Tensor) -> Tensor:
        check_video(video, self.config)
        vision = self.vision_model
        # The vectors have no position, but pass the layer norm before the first layer.
        tokens = append_prompts(vision.embeddings(video.flatten(0, 1)), self.vision_prompts[0])
        layers = (partial(_call_without_mask, layer) for layer in vision.encoder.layers)
        tokens = run_prompted(layers, vision.normalize_input(tokens), self.vision_prompts, replace_last)
        return self.visual_projection(vision.normalize_output(tokens[:, 0])).unflatten(0, video.shape[:2])

    def _encode_classes(self) -> Tensor:
        text = self.text_model
        tokens = insert_after_first(token_embedding(text)(self.class_input_ids), self.text_prompts[0])
        numbers = range(len(text.encoder.layers))
        layers = (partial(run_layers, text, start=number, stop=number + 1) for number in numbers)
        states = run_prompted(layers, add_positions(text, tokens), self.text_prompts, replace_after_first)
        return self.text_projection(normalize_output(text, read_rows(states, self.class_eos)))

    # What `VideoCLIP` asks of a system

    @property
    def num_added_tokens(self) -> int:
        """By how many tokens the vectors make a text longer: n."""
        return self.config.num_prompts

    def set_class_names(self, class_names: Any) -> None:
        """Set the classes by name, whose underscores become spaces; the position in the list is the label.

        Raises:
            ValueError: If the model has no tokenizer, the list is empty, or a name is too long for the text encoder.
        """
        super().set_class_names([name.replace("_", " ") for name in class_names])

    def new_parameter_names(self) -> set[str]:
        """Return the names of the vectors, the only parameters that are trained."""
        return {"vision_prompts", "text_prompts"}

    def freeze_fixed(self) -> None:
        """Freeze CLIP, its temperature included."""
        freeze_all_but(self, self.new_parameter_names())

    @classmethod
    def build_config(
        cls, stored: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, **overrides: Any
    ) -> ViFiPromptConfig:
        """Build the configuration; the words that the text vectors may start from are those of the tokenizer."""
        config = super().build_config(stored, tokenizer, **overrides)
        if stored["model_type"] != cls.config_class.model_type:
            config.prompt_token_ids = tokenize_template(tokenizer)
        return config

    @torch.no_grad()
    def start_new_parameters(self) -> None:
        """Start the first text layer's vectors from "a photo of a" if they are no more than that; others are random."""
        words, count = list(self.config.prompt_token_ids), self.config.num_prompts
        if count <= len(words):
            self.text_prompts[0] = token_embedding(self.text_model).weight[words[:count]]


def _call_without_mask(layer: nn.Module, tokens: Tensor) -> Tensor:
    return call_layer(layer, tokens, None)
