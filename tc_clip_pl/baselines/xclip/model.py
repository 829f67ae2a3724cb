"""X-CLIP: CLIP with messages between frames, an integration of frame embeddings, and video-specific prompting."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import PreTrainedTokenizerBase

from tc_clip_pl.baselines.frozen import freeze_all_but
from tc_clip_pl.baselines.pooled_clip import PooledCLIP
from tc_clip_pl.baselines.video_shape import check_video
from tc_clip_pl.baselines.xclip.config import XCLIPConfig
from tc_clip_pl.baselines.xclip.library import adopt_library_config, is_library_config, load_library_weights
from tc_clip_pl.baselines.xclip.parts import (
    build_integration,
    build_message_layers,
    build_prompting,
    library_config,
    start_integration,
    start_messages,
    start_prompting,
)
from tc_clip_pl.modules.outputs import TCCLIPOutput

FROZEN = ("text_model.", "text_projection.", "logit_scale")
NEW = ("mit.", "prompts_")


class XCLIP(PooledCLIP):
    """A CLIP for videos whose text encoder stays frozen. CLIP's parameters keep their names.

    `from_pretrained` takes what transformers' `XCLIPModel` saves, too, such as microsoft/xclip-base-patch32.

    Args:
        config: CLIP's configuration with the number of frames.
    """

    config: XCLIPConfig
    config_class = XCLIPConfig
    title = "X-CLIP"
    class_text = "{}"

    def __init__(self, config: XCLIPConfig) -> None:
        super().__init__(config)
        library, width = library_config(self.config), config.vision_config.hidden_size
        self.vision_model.encoder.layers = build_message_layers(library)
        self.mit = build_integration(library)
        self.prompts_visual_layernorm = nn.LayerNorm(width, eps=config.vision_config.layer_norm_eps)
        self.prompts_visual_projection = nn.Parameter(torch.empty(width, config.projection_dim))
        self.prompts_generator = build_prompting(library)
        self.post_init()
        self.freeze_fixed()

    def forward(self, video: Tensor) -> TCCLIPOutput:
        """Score every video against every class: cosines of the video and of the texts prompted by it (Sec. 3).

        Args:
            video: (B, T, 3, H, W) normalized pixels.

        Raises:
            RuntimeError: If no class names are set.
            ValueError: If the video has the wrong shape, or another number of frames than the model.
        """
        classes = self.encode_classes()
        frame_embeds, patches = self._encode_frames(video)
        text_embeds = classes.expand(len(video), -1, -1)
        text_embeds = text_embeds + self.prompts_generator(text_embeds, self._project_patches(patches))
        return self._compare(frame_embeds, text_embeds)

    def _embed_frames(self, video: Tensor) -> Tensor:
        return self._encode_frames(video)[0]

    def _encode_frames(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Encode (B, T, 3, H, W) pixels: (B, T, E) frame embeddings and (B, T, P, D) patches of the last layer."""
        check_video(video, self.config)
        output = self.vision_model(video.flatten(0, 1))
        frame_embeds = self.visual_projection(output.pooler_output).unflatten(0, video.shape[:2])
        return frame_embeds, output.last_hidden_state[:, 1:].unflatten(0, video.shape[:2])

    def _pool_frames(self, frame_embeds: Tensor) -> Tensor:
        """(B, T, E) frame embeddings to (B, E) video embeddings of unit norm (Sec. 3.2)."""
        return normalize(self.mit(frame_embeds).pooler_output, dim=-1)

    def _project_patches(self, patches: Tensor) -> Tensor:
        """(B, T, P, D) patches to the (B, P, E) that the prompting reads (Sec. 3.3)."""
        # The projection is linear, so the mean over frames can come first.
        return self.prompts_visual_layernorm(patches).mean(1) @ self.prompts_visual_projection

    # Loading

    @classmethod
    def build_config(
        cls, stored: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, **overrides: Any
    ) -> XCLIPConfig:
        """Build the configuration; the number of frames of a saved model cannot be changed."""
        stored = adopt_library_config(stored) if is_library_config(stored) else stored
        return super().build_config(stored, tokenizer, **overrides)

    @classmethod
    def load_saved(cls, source: str, stored: Mapping[str, Any], config: XCLIPConfig) -> Self:
        """Load a saved X-CLIP, of this class or of transformers'."""
        if not is_library_config(stored):
            return super().load_saved(source, stored, config)
        model = cls(config)
        model.load_state_dict(load_library_weights(source))
        return model

    # Parameters

    def new_parameter_names(self) -> set[str]:
        """Return the names of messages, integration and prompting."""
        return {name for name, _ in self.named_parameters() if name.startswith(NEW) or ".message_" in name}

    def undecayed_parameter_names(self) -> set[str]:
        """Return the names of vectors and of position tables, which have no weight decay."""
        named = self.named_parameters()
        return {name for name, parameter in named if parameter.ndim < 2 or "position_embedding" in name}

    def freeze_fixed(self) -> None:
        """Freeze the text encoder, its projection and the temperature: the authors do so in all settings."""
        freeze_all_but(self, {name for name, _ in self.named_parameters() if not name.startswith(FROZEN)})

    def start_new_parameters(self) -> None:
        """Draw what CLIP does not have, as the authors do."""
        for layer in self.vision_model.encoder.layers:
            start_messages(layer)
        start_integration(self.mit)
        start_prompting(self.prompts_generator)
        self.prompts_visual_layernorm.reset_parameters()
        # The layer norm behind it hides its scale, which sets how fast it learns.
        nn.init.normal_(self.prompts_visual_projection, std=1.0)

    def _text_parameters(self) -> list[nn.Parameter]:
        return [*self.text_model.parameters(), *self.text_projection.parameters()]
