"""The vision encoder: frames in, [CLS] and context tokens out (Sec. 2.3)."""

from collections.abc import Callable

from torch import Tensor, nn

from tc_clip_pl.modules.backbone.interface import VisionEmbeddings, VisionModel, call_layer
from tc_clip_pl.modules.config import TCCLIPConfig
from tc_clip_pl.modules.outputs import LayerOutput, VideoEncoding
from tc_clip_pl.modules.tc_encoder_layer import TCEncoderLayer
from tc_clip_pl.ops.prompting_tokens import PROMPTING_TOKENS


class VideoEmbeddings(VisionEmbeddings):
    """Patch, class and position embeddings of every frame (Eq. 1).

    With ``positional_embedding="joint"`` the position table has T * N rows, N for each frame in turn.
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
            ValueError: If the model takes frames of another size or, with a joint embedding, another number of them.
        """
        if video.ndim != 5 or video.shape[-2:] != (self.image_size, self.image_size):
            raise ValueError(
                f"This model takes videos of shape (B, T, 3, {self.image_size}, {self.image_size}), "
                f"not {tuple(video.shape)}."
            )
        if self.is_joint and video.shape[1] != self.num_frames:
            raise ValueError(
                f"The joint positional embedding was made for {self.num_frames} frames; the video has {video.shape[1]}."
            )
        tokens = self.embed_frames(video.flatten(0, 1)).unflatten(0, video.shape[:2])  # (B, T, N, D)
        return tokens + self.position_embedding.weight.unflatten(0, (-1, self.num_positions))  # (T or 1, N, D)


class TCVisionModel(VisionModel):
    """The backbone's vision model over the frames of a video; every layer is a `TCEncoderLayer`."""

    def __init__(self, config: TCCLIPConfig) -> None:
        super().__init__(config.vision_config)
        self.tc_config = config
        self.embeddings = VideoEmbeddings(config)
        num_layers = config.vision_config.num_hidden_layers
        self.encoder.layers = nn.ModuleList(TCEncoderLayer(config, number) for number in range(1, num_layers + 1))

    def forward(
        self,
        video: Tensor,
        return_sources: bool = False,
        return_attentions: bool = False,
        cls_only: bool = True,
        run_layer: Callable[..., LayerOutput] = call_layer,
    ) -> VideoEncoding:
        """Encode videos.

        Args:
            video: (B, T, 3, H, W) normalized pixels.
            return_sources: Also return the positions merged into each context token, layer by layer.
            return_attentions: Also return the attention weights, layer by layer.
            cls_only: In the last layer, feed only [CLS] forward if nothing reads its patches. The output is the same.
            run_layer: Calls a layer with its arguments; a compiled one is faster.

        Raises:
            ValueError: If the video has the wrong shape, or too few frames for the reference tokens.
        """
        config = self.tc_config
        config.check_num_frames(video.shape[1])
        states, context, prompting = self.normalize_input(self.embeddings(video)), None, None
        sources, attentions = [], []
        for number, layer in enumerate(self.encoder.layers, start=1):
            skips_patches = cls_only and number == len(self.encoder.layers) and not config.reads_last_patches
            output = run_layer(layer, states, context, skips_patches, return_sources, return_attentions)
            states, context = output.hidden_states, output.context_tokens
            if config.reads_vision and number == config.vision_layer:
                prompting = self.normalize_output(PROMPTING_TOKENS[config.prompting_tokens](states, context))
            sources.append(output.sources)
            attentions.append(output.attentions)
        return VideoEncoding(
            cls_tokens=self.normalize_output(states[:, :, 0]),
            context_tokens=None if context is None else self.normalize_output(context),
            prompting_tokens=prompting,
            sources=tuple(sources),
            attentions=tuple(attentions),
        )
