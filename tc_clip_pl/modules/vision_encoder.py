"""The vision encoder: frames in, [CLS] and context tokens out (Sec. 2.3)."""

import torch
from torch import Tensor, nn
from transformers import CLIPVisionModel
from transformers.models.clip.modeling_clip import CLIPVisionEmbeddings

from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.outputs import VideoEncoding
from tc_clip_pl.modules.tc_encoder_layer import TCEncoderLayer
from tc_clip_pl.modules.text_prompting import PROMPTING_TOKENS


class VideoEmbeddings(CLIPVisionEmbeddings):
    """Patch, class and position embeddings of every frame (Eq. 1).

    With ``positional_embedding="joint"`` the table has T * N rows, N for each frame in turn.
    """

    def __init__(self, config: TCCLIPConfig) -> None:
        super().__init__(config.vision_config)
        self.num_frames = config.num_frames
        self.is_joint = config.positional_embedding == "joint"
        if self.is_joint:
            self.position_embedding = nn.Embedding(self.num_frames * self.num_positions, self.embed_dim)

    def forward(self, video: Tensor) -> Tensor:
        """(B, T, 3, H, W) normalized pixels to (B, T, N, D) tokens.

        Raises:
            ValueError: where the frame size, or for a joint embedding the number of frames, is not the model's.
        """
        if video.ndim != 5 or video.shape[-2:] != (self.image_size, self.image_size):
            raise ValueError(
                f"A video is (B, T, 3, {self.image_size}, {self.image_size}) for this model, not {tuple(video.shape)}."
            )
        if self.is_joint and video.shape[1] != self.num_frames:
            raise ValueError(
                f"The joint positional embedding was made for {self.num_frames} frames; the video has {video.shape[1]}."
            )
        patches = self.patch_embedding(video.flatten(0, 1).to(self.patch_embedding.weight.dtype))
        patches = patches.flatten(2).transpose(1, 2).unflatten(0, video.shape[:2])  # (B, T, P, D)
        cls_token = self.class_embedding.expand(*video.shape[:2], 1, -1)
        tables = self.position_embedding.weight.unflatten(0, (-1, self.num_positions))  # (T or 1, N, D)
        return torch.cat((cls_token, patches), dim=2) + tables


class TCVisionModel(CLIPVisionModel):
    """CLIP's vision model over the frames of a video; every layer is a `TCEncoderLayer`."""

    def __init__(self, config: TCCLIPConfig) -> None:
        super().__init__(config.vision_config)
        self.tc_config = config
        self.embeddings = VideoEmbeddings(config)
        num_layers = config.vision_config.num_hidden_layers
        self.encoder.layers = nn.ModuleList(TCEncoderLayer(config, number) for number in range(1, num_layers + 1))

    def forward(
        self, video: Tensor, return_sources: bool = False, return_attentions: bool = False, cls_only: bool = True
    ) -> VideoEncoding:
        """Encodes videos.

        Args:
            video: (B, T, 3, H, W) normalized pixels.
            return_sources: also return the positions merged into each context token, layer by layer.
            return_attentions: also return the attention weights, layer by layer.
            cls_only: feed only [CLS] forward in the last layer: nothing reads its patches. The output is the same.

        Raises:
            ValueError: where the video has the wrong shape, or too few frames for the reference tokens.
        """
        config = self.tc_config
        config.check_num_frames(video.shape[1])
        states, context, prompting = self.pre_layrnorm(self.embeddings(video)), None, None
        sources, attentions = [], []
        for number, layer in enumerate(self.encoder.layers, start=1):
            is_last = number == len(self.encoder.layers)
            skips = cls_only and is_last and config.prompting_tokens != "pooled"
            output = layer(states, context, skips, return_sources, return_attentions)
            states, context = output.hidden_states, output.context_tokens
            if config.reads_vision and number == config.vision_layer:
                prompting = self.post_layernorm(PROMPTING_TOKENS[config.prompting_tokens](output))
            sources.append(output.sources)
            attentions.append(output.attentions)
        return VideoEncoding(
            cls_tokens=self.post_layernorm(states[:, :, 0]),
            context_tokens=None if context is None else self.post_layernorm(context),
            prompting_tokens=prompting,
            sources=tuple(sources),
            attentions=tuple(attentions),
        )
