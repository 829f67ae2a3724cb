"""OST: frames of a CLIP, scored against the phrases of each class."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from tc_clip_pl.baselines.ost.config import OSTConfig
from tc_clip_pl.baselines.ost.descriptors import class_texts
from tc_clip_pl.baselines.ost.transport import matching_logits
from tc_clip_pl.modules.backbone.interface import call_layer
from tc_clip_pl.modules.tc_clip import TCCLIP
from tc_clip_pl.modules.video_clip import VideoCLIP


class OST(TCCLIP):
    """TC-CLIP's model with 2 N phrases a class in place of its name, and with transport in place of the cosine.

    In the output, `text_embeds` are (Y, 2, N, E): the spatial phrases, then the temporal ones; (B, Y, 2, N, E) where
    the prompting reads the video. OST is trained with `tc_clip_pl.training.objectives.pairwise_kl.PairwiseKL`.

    Args:
        config: CLIP's configuration with OST's options.
    """

    title = "OST"
    config: OSTConfig
    config_class = OSTConfig
    has_several_texts = True

    def __init__(self, config: OSTConfig) -> None:
        super().__init__(config)
        self.pool_logits = matching_logits

    def set_class_names(self, class_names: Sequence[str]) -> None:
        """Set the classes by name, with their phrases from the descriptor files; the position is the label.

        Raises:
            ValueError: If the model has no tokenizer, there is no class, a class lacks phrases, or a text is too long.
            OSError: If a file cannot be read.
        """
        config = self.config
        files, formats = (
            (config.spatial_descriptors, config.temporal_descriptors),
            (config.spatial_text, config.temporal_text),
        )
        texts = class_texts(class_names, *files, *formats)
        flat = [text for of_class in texts for of_kind in of_class for text in of_kind]
        self.set_class_tokens(self.tokenize(flat).unflatten(0, (len(texts), -1)).transpose(0, 1))

    def set_blank_classes(self, num_classes: int, length: int | None = None) -> None:
        """Set classes of a spatial and a temporal text without words, to count or time the model."""
        self.set_class_tokens(self.blank_tokens(num_classes, length).expand(2, -1, -1))

    def set_class_tokens(self, input_ids: Tensor) -> None:
        """Set the classes by the token ids of their phrases.

        Args:
            input_ids: (2 * N, Y, L) int64: N spatial texts of all classes, then N temporal ones.

        Raises:
            ValueError: If the shape is wrong, a row has no EOS token, or a text is too long for the text encoder.
        """
        if input_ids.ndim != 3 or len(input_ids) % 2:
            raise ValueError(f"OST's class tokens are (2 * N, Y, L), not {tuple(input_ids.shape)}.")
        super().set_class_tokens(input_ids)

    def _encode_tokens(self, input_ids: Tensor, eos: Tensor, run_layer: Callable[..., Tensor] = call_layer) -> Any:
        # To the prompting every phrase is a class: those of one class are neighbors.
        return super()._encode_tokens(input_ids.transpose(0, 1).flatten(0, 1), eos.t().flatten(), run_layer)

    def _condition_classes(self, classes: Any, prompting_tokens: Tensor | None) -> Tensor:
        texts = super()._condition_classes(classes, prompting_tokens)  # (..., Y * 2 N, E)
        return texts.unflatten(-2, (-1, 2, len(self.class_input_ids) // 2))

    def freeze_fixed(self) -> None:
        """Freeze nothing: here the token embedding table is trained too."""

    # Frames are matched one by one: there is no single embedding to search by.
    embed_videos = VideoCLIP.embed_videos
    embed_classes = VideoCLIP.embed_classes
