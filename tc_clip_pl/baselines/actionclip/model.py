"""ActionCLIP: frame-wise CLIP, a head over frames, and several sentences about every class."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from tc_clip_pl.baselines.actionclip.config import ActionCLIPConfig
from tc_clip_pl.baselines.actionclip.heads import HEADS
from tc_clip_pl.baselines.actionclip.shift import ShiftLayer
from tc_clip_pl.baselines.actionclip.templates import average_templates
from tc_clip_pl.baselines.pooled_clip import PooledCLIP
from tc_clip_pl.modules.outputs import TCCLIPOutput
from tc_clip_pl.ops.precision import without_autocast


class ActionCLIP(PooledCLIP):
    """A CLIP for videos that is trained to match each video with a sentence. CLIP's parameters keep their names.

    Args:
        config: CLIP's configuration with the head and the number of frames.
    """

    config: ActionCLIPConfig
    config_class = ActionCLIPConfig
    title = "ActionCLIP"
    pairs_clips_with_texts = True

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
        frame_embeds = self._embed_frames(video)
        video_embeds = self._pool_frames(frame_embeds)
        output = TCCLIPOutput(video_embeds=video_embeds, frame_embeds=frame_embeds)
        if label is not None:
            output.text_embeds = self._embed_sentences(label)
            return output
        sentences = self.encode_classes()
        with without_autocast(video_embeds):
            output.logits = average_templates(torch.einsum("be,sye->bsy", video_embeds, sentences))
        return output

    def embed_classes(self) -> Tensor:
        """Compute the (Y, E) embeddings of the classes, the mean over templates, not normalized.

        Raises:
            RuntimeError: If no class names are set.
        """
        return self.encode_classes().mean(0)

    @property
    def class_text(self) -> tuple[str, ...]:
        """The sentences about a class, with {} in place of its name."""
        return tuple(self.config.templates)

    def _encode_classes(self) -> Tensor:
        """Compute the (S, Y, E) unit-norm embeddings of all sentences."""
        return to_unit(super()._encode_classes())

    def _embed_sentences(self, label: Tensor) -> Tensor:
        """(B,) class ids to the (B, E) unit-norm embeddings of a sentence about each."""
        self.check_classes()
        template = torch.randint(len(self.class_input_ids), label.shape, device=label.device)
        return to_unit(self._encode_texts(self.class_input_ids[template, label]))

    def _pool_frames(self, frame_embeds: Tensor) -> Tensor:
        """(B, T, E) frame embeddings to (B, E) video embeddings of unit norm, in full precision."""
        dtype = next((parameter.dtype for parameter in self.head.parameters()), full_precision(frame_embeds))
        with without_autocast(frame_embeds):
            return to_unit(self.head(frame_embeds.to(dtype)))

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
