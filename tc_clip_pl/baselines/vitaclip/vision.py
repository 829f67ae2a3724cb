"""CLIP's vision encoder with added tokens in every layer (Vita-CLIP, Sec. 3.2).

Nothing reads an added token once the layer has attended to it, so each is only one more key and value of its frame:
queries and MLP take [CLS] and patches alone. Added tokens have no positions, so their order means nothing.
"""

import torch
from torch import Tensor, nn

from tc_clip_pl.baselines.video_shape import check_video
from tc_clip_pl.baselines.vitaclip.config import VitaCLIPConfig
from tc_clip_pl.baselines.vitaclip.prompts import LayerPrompts
from tc_clip_pl.modules.backbone.interface import (
    Attention,
    EncoderLayer,
    VisionEmbeddings,
    VisionModel,
)
from tc_clip_pl.ops.attention import context_attention, join_keys


class PromptedAttention(Attention):
    """The backbone's attention with added tokens among the keys."""

    def forward(self, frame_tokens: Tensor, shared_tokens: Tensor | None, num_queries: int) -> Tensor:
        """Attend.

        Args:
            frame_tokens: (B, T, N, D), layer-normed tokens of each frame, its own added ones last.
            shared_tokens: (B, K, D), layer-normed added tokens that all frames of a video see, or None.
            num_queries: Q, how many tokens of each frame ask, from the first on.

        Returns:
            (B, T, Q, D).
        """
        query = self.split_heads(self.q_proj(frame_tokens[:, :, :num_queries]))
        key, value = (self._project(linear, frame_tokens, shared_tokens) for linear in (self.k_proj, self.v_proj))
        return self.merge_heads(context_attention(query, key, value, bias=None))

    def _project(self, linear: nn.Linear, frame_tokens: Tensor, shared_tokens: Tensor | None) -> Tensor:
        frame = self.split_heads(linear(frame_tokens))
        return frame if shared_tokens is None else join_keys(frame, self.split_heads(linear(shared_tokens)))


class VitaEncoderLayer(EncoderLayer):
    """The backbone's layer, which makes its added tokens from the [CLS] tokens and lets the frames see them."""

    def __init__(self, config: VitaCLIPConfig) -> None:
        super().__init__(config.vision_config)
        self.self_attn = PromptedAttention(config.vision_config)
        self.prompts = LayerPrompts(config)

    def forward(self, tokens: Tensor, cls_only: bool) -> Tensor:
        """(B, T, N, D) tokens to the same of the next layer, or to (B, T, 1, D), [CLS] alone."""
        summary, shared = self.prompts(tokens[:, :, 0])
        num_queries = 1 if cls_only else tokens.shape[2]
        keys = self.layer_norm1(tokens if summary is None else torch.cat((tokens, summary), dim=2))
        shared = None if shared is None else self.layer_norm1(shared)
        return self.feed_forward(tokens[:, :, :num_queries] + self.self_attn(keys, shared, num_queries))


class VitaEmbeddings(VisionEmbeddings):
    """CLIP's embeddings of every frame, and a learned vector of the frame's number on all of its tokens."""

    def __init__(self, config: VitaCLIPConfig) -> None:
        super().__init__(config.vision_config)
        self.time_embedding = nn.Parameter(torch.empty(config.num_frames, self.embed_dim))
        self.reset_time()

    def reset_time(self) -> None:
        """Start the vectors of the frames from N(0, 0.02)."""
        nn.init.normal_(self.time_embedding, std=0.02)

    def forward(self, video: Tensor) -> Tensor:
        """(B, T, 3, H, W) normalized pixels to (B, T, N, D) tokens."""
        tokens = self.embed_frames(video.flatten(0, 1)).unflatten(0, video.shape[:2])
        return tokens + self.position_embedding.weight + self.time_embedding.unsqueeze(1)


class VitaVisionModel(VisionModel):
    """The backbone's vision model over the frames of a video."""

    def __init__(self, config: VitaCLIPConfig) -> None:
        super().__init__(config.vision_config)
        self.vita_config = config
        self.embeddings = VitaEmbeddings(config)
        num_layers = config.vision_config.num_hidden_layers
        self.encoder.layers = nn.ModuleList(VitaEncoderLayer(config) for _ in range(num_layers))

    def forward(self, video: Tensor) -> Tensor:
        """Encode videos.

        Args:
            video: (B, T, 3, H, W) normalized pixels.

        Returns:
            (B, T, D) [CLS] tokens after the post layer norm.

        Raises:
            ValueError: If the video has the wrong shape or another number of frames.
        """
        check_video(video, self.vita_config)
        tokens = self.normalize_input(self.embeddings(video))
        for layer in self.encoder.layers:
            tokens = layer(tokens, layer is self.encoder.layers[-1])  # nothing reads the patches of the last
        return self.normalize_output(tokens[:, :, 0])

    def reset_prompts(self) -> None:
        """Start what CLIP does not have from its random values."""
        self.embeddings.reset_time()
        for layer in self.encoder.layers:
            layer.prompts.reset_parameters()
