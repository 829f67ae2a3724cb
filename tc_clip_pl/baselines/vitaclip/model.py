"""Vita-CLIP: learned prompts in the vision layers and before the class names of a frozen CLIP."""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tc_clip_pl.baselines.frozen import freeze_all_but
from tc_clip_pl.baselines.pooled_clip import PooledCLIP
from tc_clip_pl.baselines.vitaclip.class_vectors import find_rows, insert_vectors
from tc_clip_pl.baselines.vitaclip.config import VitaCLIPConfig
from tc_clip_pl.baselines.vitaclip.vision import VitaVisionModel
from tc_clip_pl.modules.backbone.interface import token_embedding
from tc_clip_pl.modules.text_encoder import encode_text

logger = logging.getLogger(__name__)


class VitaCLIP(PooledCLIP):
    """The model of "Vita-CLIP: Video and text adaptive CLIP via Multimodal Prompting" (CVPR 2023).

    Vectors per class serve the classes that they were trained for. Other classes are scored as the authors do in
    zero-shot tests: by CLIP's text encoder on the bare names.

    Args:
        config: CLIP's configuration with the choices of Vita-CLIP.

    Attributes:
        text_vectors: (Y, M, D) per class, (M, D) shared; None before the first classes are set.
        class_rows: (Y,) position of each class among the trained ones; None where the vectors do not serve.

    Example:
        >>> model = VitaCLIP.from_pretrained("openai/clip-vit-base-patch16", num_frames=16)  # doctest: +SKIP
        >>> model.set_class_names(["brush hair", "cartwheel"])  # doctest: +SKIP
        >>> model(video).logits  # doctest: +SKIP
    """

    title = "Vita-CLIP"
    can_ensemble = False
    config: VitaCLIPConfig
    config_class = VitaCLIPConfig

    def __init__(self, config: VitaCLIPConfig) -> None:
        super().__init__(config)
        self.vision_model = VitaVisionModel(config)
        self.register_parameter("text_vectors", None)
        self.register_buffer("class_rows", None, persistent=False)
        if config.text_vectors == "shared":
            self._add_vectors()
        elif config.trained_classes is not None:
            self._add_vectors(len(config.trained_classes))
        self.post_init()
        self.freeze_fixed()

    def _embed_frames(self, video: Tensor) -> Tensor:
        return self.visual_projection(self.vision_model(video))

    # Classes and their vectors

    @property
    def reads_vectors(self) -> bool:
        """Whether the classes that are set have text vectors."""
        return self.config.text_vectors == "shared" or self.class_rows is not None

    @property
    def class_text(self) -> str:
        """The text of a class, with {} in place of its name: the bare name where the vectors do not serve."""
        return "{}." if self.reads_vectors else "{}"

    @property
    def num_added_tokens(self) -> int:
        """By how many tokens the vectors make a text longer."""
        return self.config.num_text_vectors if self.reads_vectors else 0

    def set_class_names(self, class_names: Sequence[str]) -> None:
        """Set the classes by name; the position in the list is the label.

        The first classes of a model with vectors per class are those that it gets vectors for.

        Raises:
            ValueError: If the model has no tokenizer, the list is empty, or a name is too long for the text encoder.
        """
        is_first = self.config.text_vectors == "per_class" and self.config.trained_classes is None
        before, self.class_rows = self.class_rows, self._find_vectors(class_names)
        try:
            input_ids = self.tokenize_classes(class_names)
        except ValueError:
            self.class_rows = before  # the classes that were set before stay
            raise
        if is_first:
            self.config.trained_classes = list(class_names)
            self._add_vectors(len(class_names))
        super().set_class_tokens(input_ids)

    def set_class_tokens(self, input_ids: Tensor) -> None:
        """Set the classes, with vectors per class those that were trained, by the token ids of "{class name}.".

        Args:
            input_ids: (Y, L) int64, SOS first; what follows EOS is ignored.

        Raises:
            ValueError: If the shape is wrong, a row has no EOS token, a text is too long for the text encoder, or the
                number of classes is not that of the vectors.
        """
        if self.config.text_vectors == "per_class":
            trained = len(self.config.trained_classes or ())
            if len(input_ids) != trained:
                raise ValueError(
                    f"This Vita-CLIP has text vectors for {trained} classes, not {len(input_ids)}: use "
                    "set_class_names, which tells which classes they are."
                )
            self.class_rows = torch.arange(trained, device=self.device)
        super().set_class_tokens(input_ids)

    def set_blank_classes(self, num_classes: int, length: int | None = None) -> None:
        """Set classes of texts without words; with vectors per class, those of the trained ones in turn."""
        if self.config.text_vectors == "per_class":
            if self.text_vectors is None:
                self._add_vectors(num_classes)
            self.class_rows = torch.arange(num_classes, device=self.device) % len(self.text_vectors)
        super().set_class_tokens(self.blank_tokens(num_classes, length))

    def _find_vectors(self, class_names: Sequence[str]) -> Tensor | None:
        """Return the (Y,) positions of classes among the trained ones; None where one of them is not among these."""
        if self.config.text_vectors == "shared":
            return None
        trained = self.config.trained_classes
        rows, unknown = find_rows(class_names, class_names if trained is None else trained)
        if not unknown:
            return torch.tensor(rows, device=self.device)
        logger.warning(
            "Vita-CLIP has no text vectors for %d of these %d classes (%r for one): CLIP's text encoder scores them "
            "all by their bare names.",
            *(len(unknown), len(class_names), unknown[0]),
        )
        return None

    def _encode_classes(self) -> Tensor:
        embeds = token_embedding(self.text_model)(self.class_input_ids)
        if self.reads_vectors:
            rows = self.class_rows
            embeds = insert_vectors(embeds, self.text_vectors if rows is None else self.text_vectors[rows])
        elif self.training:
            raise ValueError(
                "The text vectors of this Vita-CLIP belong to other classes than those of the training: start from "
                "CLIP, or use a model with model.options.text_vectors shared."
            )
        return self.text_projection(encode_text(self.text_model, embeds, self.class_eos))

    def _add_vectors(self, *num_classes: int) -> None:
        size = (*num_classes, self.config.num_text_vectors, self.config.text_config.hidden_size)
        vectors = torch.empty(size, dtype=self.dtype, device=self.device)
        self.text_vectors = nn.Parameter(nn.init.normal_(vectors, std=0.02))

    # What `VideoCLIP` asks of a system

    def new_parameter_names(self) -> set[str]:
        """Return the names of the parameters that CLIP does not have: prompts, time table and text vectors."""
        marks = (".prompts.", ".time_embedding", "text_vectors")
        return {name for name, _ in self.named_parameters() if any(mark in name for mark in marks)}

    def start_new_parameters(self) -> None:
        """Start the prompts from their own random values, over those of transformers."""
        self.vision_model.reset_prompts()

    def freeze_fixed(self) -> None:
        """Freeze CLIP but for its temperature, and `cls_proj` unless the configuration trains it."""
        trained = self.new_parameter_names() | {"logit_scale"}
        if not self.config.train_cls_proj:
            trained = {name for name in trained if ".cls_proj." not in name}
        freeze_all_but(self, trained)
