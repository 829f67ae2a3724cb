"""ActionCLIP: frame-wise CLIP, a head over frames, and several sentences about every class."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from tc_clip_pl.baselines.actionclip.config import ActionCLIPConfig
from tc_clip_pl.baselines.actionclip.heads import HEADS
from tc_clip_pl.baselines.actionclip.shift import ShiftLayer
from tc_clip_pl.baselines.actionclip.templates import average_templates
from tc_clip_pl.baselines.video_shape import check_video
from tc_clip_pl.modules.backbone.interface import BackboneModel
from tc_clip_pl.modules.outputs import TCCLIPOutput
from tc_clip_pl.modules.video_clip import VideoCLIP
from tc_clip_pl.ops.precision import without_autocast


class ActionCLIP(VideoCLIP, BackboneModel):
    """A CLIP for videos that is trained to match each video with a sentence. CLIP's parameters keep their names.

    Args:
        config: CLIP's configuration with the head and the number of frames.
    """

    config: ActionCLIPConfig
    config_class = ActionCLIPConfig
    title = "ActionCLIP"
    main_input_name = "video"
    pairs_clips_with_texts = True
    class_text = "{}"  # the templates are filled in before

    def __init__(self, config: ActionCLIPConfig) -> None:
        super().__init__(config)
        if config.shift:
            vision = self.vision_model.config
            layers = [ShiftLayer(vision) for _ in range(vision.num_hidden_layers)]
            for layer in layers:
                layer.num_frames = config.num_frames
            self.vision_model.encoder.layers = nn.ModuleList(layers)
        self.head = HEADS[config.head](config.projection_dim, config.num_head_parts, config.num_frames)
        self.post_init()

    def forward(self, video: Tensor, label: Tensor | None = None) -> TCCLIPOutput:
        """Score every video against every class, or embed each with a sentence about its own class.

        Args:
            video: (B, T, 3, H, W) normalized pixels.
            label: (B,) class ids, for training; without them all classes are scored.

        Returns:
            Without labels, ``logits`` whose softmax are the class probabilities, averaged over templates. With them,
            ``text_embeds``: (B, E), of the class of each video in a template drawn evenly. Embeddings of videos and
            texts have unit norm.

        Raises:
            RuntimeError: If no class names are set.
            ValueError: If the video has the wrong shape, or the model cannot take so many frames.
        """
        frame_embeds = self._encode_frames(video)
        video_embeds = to_unit(self._pool(frame_embeds))
        output = TCCLIPOutput(video_embeds=video_embeds, frame_embeds=frame_embeds)
        if label is not None:
            output.text_embeds = self._embed_sentences(label)
            return output
        sentences = self.encode_classes()
        with without_autocast(video_embeds):
            output.logits = average_templates(torch.einsum("be,sye->bsy", video_embeds, sentences))
        return output

    def embed_videos(self, video: Tensor) -> Tensor:
        """Compute the (B, E) unit-norm embeddings of (B, T, 3, H, W) normalized pixels; no classes are needed."""
        return to_unit(self._pool(self._encode_frames(video)))

    def embed_classes(self) -> Tensor:
        """Compute the (Y, E) embeddings of the classes, the mean over templates, not normalized.

        Raises:
            RuntimeError: If no class names are set.
        """
        return self.encode_classes().mean(0)

    # Classes

    @property
    def num_templates(self) -> int:
        """S, sentences about each class."""
        return len(self.config.templates)

    def set_class_names(self, class_names: Sequence[str]) -> None:
        """Set the classes by name; the position in the list is the label.

        Raises:
            ValueError: If the model has no tokenizer, the list is empty, or a name is too long for the text encoder.
        """
        # Not `format`: other braces in a sentence stand for themselves.
        templates = self.config.templates
        super().set_class_names([template.replace("{}", name) for template in templates for name in class_names])

    def set_blank_classes(self, num_classes: int, length: int | None = None) -> None:
        """Set classes of sentences without words, to count or time the model."""
        super().set_blank_classes(self.num_templates * num_classes, length)

    def set_class_tokens(self, input_ids: Tensor) -> None:
        """Set the classes by the token ids of their sentences.

        Args:
            input_ids: (S * Y, L) int64 for S templates, all classes in the first template, then all in the second, and
                so on.

        Raises:
            ValueError: If the shape is wrong, a row has no EOS token, or a text is too long for the text encoder.
        """
        if len(input_ids) % self.num_templates:
            raise ValueError(
                f"This ActionCLIP has {self.num_templates} sentences for each class, and {len(input_ids)} are given: "
                "tokenize every class in every template."
            )
        super().set_class_tokens(input_ids)

    def _encode_classes(self) -> Tensor:
        """Compute the (S, Y, E) unit-norm embeddings of all sentences."""
        return self._embed_tokens(self.class_input_ids).unflatten(0, (self.num_templates, -1))

    def _embed_sentences(self, label: Tensor) -> Tensor:
        """(B,) class ids to the (B, E) unit-norm embeddings of a sentence about each."""
        if self.class_input_ids is None:
            raise RuntimeError("No classes are set: call `set_class_names` or `set_class_tokens` first.")
        template = torch.randint(self.num_templates, label.shape, device=label.device)
        return self._embed_tokens(self.class_input_ids.unflatten(0, (self.num_templates, -1))[template, label])

    def _embed_tokens(self, input_ids: Tensor) -> Tensor:
        return to_unit(self.text_projection(self.text_model(input_ids).pooler_output))

    # Videos

    def _encode_frames(self, video: Tensor) -> Tensor:
        """(B, T, 3, H, W) pixels to (B, T, E) frame embeddings, not normalized."""
        check_video(video, self.config)
        return self.visual_projection(self.vision_model(video.flatten(0, 1)).pooler_output).unflatten(
            0, video.shape[:2]
        )

    def _pool(self, frame_embeds: Tensor) -> Tensor:
        """(B, T, E) frame embeddings to (B, E) video embeddings, in full precision inside."""
        dtype = next((parameter.dtype for parameter in self.head.parameters()), full_precision(frame_embeds))
        with without_autocast(frame_embeds):
            return self.head(frame_embeds.to(dtype)).to(frame_embeds.dtype)

    # Parameters

    def new_parameter_names(self) -> set[str]:
        """Return the names of the head."""
        return {name for name, _ in self.named_parameters() if name.startswith("head.")}

    def start_new_parameters(self) -> None:
        """Start the head."""
        self.head.start()


def full_precision(tensor: Tensor) -> torch.dtype:
    """Return float32, or the dtype of a tensor that is more precise."""
    return torch.promote_types(tensor.dtype, torch.float32)


def to_unit(embeds: Tensor) -> Tensor:
    """Scale (..., E) embeddings to unit length, in float32 or better."""
    return normalize(embeds.to(full_precision(embeds)), dim=-1)
