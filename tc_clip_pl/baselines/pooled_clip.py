"""What most compared systems share: frame embeddings, pooled to one of the video, and its cosines with the classes."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from tc_clip_pl.baselines.video_shape import check_video
from tc_clip_pl.modules.backbone.interface import BackboneModel
from tc_clip_pl.modules.outputs import TCCLIPOutput
from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.ops.cosine_logits import cosine_logits
from tc_clip_pl.ops.frame_pooling import pool_frames


class PooledCLIP(VideoCLIP, BackboneModel):
    """A CLIP that embeds the frames of a video, pools them, and compares the result with each class.

    Every step is a method; as they stand here, they make a plain CLIP, and a system replaces those that it changes.
    """

    main_input_name = "video"

    def forward(self, video: Tensor) -> TCCLIPOutput:
        """Score every video against every class.

        Args:
            video: (B, T, 3, H, W) normalized pixels.

        Raises:
            RuntimeError: If no class names are set.
            ValueError: If the video has the wrong shape, or a number of frames that the model cannot take.
        """
        text_embeds = self.encode_classes()
        return self._compare(self._embed_frames(video), text_embeds)

    def embed_videos(self, video: Tensor) -> Tensor:
        """Compute the (B, E) unit-norm embeddings of (B, T, 3, H, W) normalized pixels; no classes are needed."""
        return self._pool_frames(self._embed_frames(video))

    def embed_classes(self) -> Tensor:
        """Compute the (Y, E) embeddings of the classes before any video has changed them, not normalized.

        Raises:
            RuntimeError: If no class names are set.
        """
        return self.encode_classes()

    @classmethod
    def build_config(cls, stored: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, **overrides: Any) -> Any:
        """Build the configuration; a saved model is not changed to a number of frames that it cannot take.

        Raises:
            ValueError: If it would be.
        """
        if stored["model_type"] == cls.config_class.model_type and "num_frames" in overrides:
            cls.config_class.from_dict(stored).check_num_frames(overrides["num_frames"])
        return super().build_config(stored, tokenizer, **overrides)

    # The steps

    def _embed_frames(self, video: Tensor) -> Tensor:
        """(B, T, 3, H, W) normalized pixels to (B, T, E) frame embeddings, not normalized."""
        check_video(video, self.config)
        cls_tokens = self.vision_model(video.flatten(0, 1)).pooler_output
        return self.visual_projection(cls_tokens).unflatten(0, video.shape[:2])

    def _pool_frames(self, frame_embeds: Tensor) -> Tensor:
        """(B, T, E) frame embeddings to (B, E) video embeddings of unit norm."""
        return pool_frames(frame_embeds)

    def _encode_classes(self) -> Tensor:
        return self._encode_texts(self.class_input_ids)

    def _encode_texts(self, input_ids: Tensor) -> Tensor:
        """(..., L) token ids to (..., E) text embeddings, not normalized."""
        features = self.text_model(input_ids.flatten(0, -2)).pooler_output
        return self.text_projection(features).unflatten(0, input_ids.shape[:-1])

    def _compare(self, frame_embeds: Tensor, text_embeds: Tensor) -> TCCLIPOutput:
        """Pool (B, T, E) frame embeddings and score them against (Y, E) or (B, Y, E) text embeddings."""
        video_embeds = self._pool_frames(frame_embeds)
        return TCCLIPOutput(
            logits=self._score(video_embeds, text_embeds),
            video_embeds=video_embeds,
            frame_embeds=frame_embeds,
            text_embeds=text_embeds,
        )

    def _score(self, video_embeds: Tensor, text_embeds: Tensor) -> Tensor:
        """(B, E) video embeddings of unit norm and (Y, E) or (B, Y, E) text embeddings to (B, Y) logits."""
        return cosine_logits(video_embeds, text_embeds, self.logit_scale)
