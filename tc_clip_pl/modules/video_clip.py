"""What every system is to training, evaluation and reports: a CLIP that scores videos against class names.

TC-CLIP and each system that it is compared with are a `VideoCLIP`. A new one says how it scores a video (`forward`),
which parameters CLIP does not have, and how these start; loading, saving, freezing and ensembling follow.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from tc_clip_pl.modules.backbone.interface import ENCODER_PARTS, BackboneConfig, BackboneModel
from tc_clip_pl.modules.class_texts import ClassTexts
from tc_clip_pl.modules.loading import (
    check_same_clip,
    hash_weights,
    load_checked,
    load_clip,
    load_tokenizer,
    read_config,
)
from tc_clip_pl.modules.names import recorded_name


def other_system(source: object, stored: str, expected: str) -> str:
    """Return the sentence that refuses a model of another system; both are names in `SYSTEMS`."""
    return f"{source} is a model of the system {stored}, not {expected}: set model.system to {stored}, or name a CLIP."


class VideoCLIP(ClassTexts):
    """The half of a system that all systems share; it precedes the backbone's model among the bases.

    A system defines `forward(video)`, from (B, T, 3, H, W) normalized pixels to an output with (B, Y) `logits`.

    Attributes:
        title: Its name in tables and model cards.
        config_class: The configuration, with `num_frames`, `clip_name_or_path`, `clip_sha256` and `ensemble_weight`.
        pairs_clips_with_texts: Whether ``forward(video, label)`` embeds each clip and a text about its class, for
            losses that compare the pairs of a batch.
        can_ensemble: Whether interpolating with CLIP's weights means anything: not where CLIP stays frozen.
    """

    title: ClassVar[str]
    config_class: ClassVar[type]
    pairs_clips_with_texts: ClassVar[bool] = False
    can_ensemble: ClassVar[bool] = True

    # What a system says of itself

    def new_parameter_names(self) -> set[str]:
        """Return the names of the parameters that CLIP does not have."""
        raise NotImplementedError

    def prompting_parameter_names(self) -> set[str]:
        """Return the names of those that learn at `prompting_lr_factor` times the rate; by default all new ones."""
        return self.new_parameter_names()

    def position_parameter_names(self) -> set[str]:
        """Return the names of those that learn at `positions_lr_factor` times the rate; by default none."""
        return set()

    def undecayed_parameter_names(self) -> set[str]:
        """Return the names of those that have no weight decay, whatever the optimizer's is; by default none."""
        return set()

    def adapt_clip_weights(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return CLIP's weights under the names and shapes of this model; by default they are the same."""
        return dict(weights)

    def start_new_parameters(self) -> None:
        """Give the new parameters the values that they start from, once CLIP's weights are loaded."""

    def freeze_fixed(self) -> None:
        """Freeze the parameters that this system never trains; by default none."""

    def embed_videos(self, video: Tensor) -> Tensor:
        """Compute the (B, E) unit-norm embeddings of (B, T, 3, H, W) normalized pixels, without classes, for search.

        Raises:
            ValueError: If the system has none.
        """
        raise ValueError(f"{self.title} has no embeddings for search: use a TC-CLIP or a plain CLIP.")

    def embed_classes(self) -> Tensor:
        """Compute the (Y, E) embeddings of the classes without a video, for search.

        Raises:
            ValueError: If the system has none.
        """
        raise ValueError(f"{self.title} has no embeddings for search: use a TC-CLIP or a plain CLIP.")

    @classmethod
    def build_config(cls, stored: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, **overrides: Any) -> Any:
        """Build the configuration of a model that is made from a CLIP.

        Args:
            stored: Configuration of the CLIP, or of a saved model of this system.
            tokenizer: Of the CLIP.
            **overrides: Options of the system to change.
        """
        return cls.config_class.from_dict({**stored, **overrides, "model_type": cls.config_class.model_type})

    # Freezing, loading and saving

    def freeze(self, encoders: Sequence[str]) -> None:
        """Freeze CLIP's own parameters of encoders, projections included; the new parameters stay trainable.

        Args:
            encoders: "vision", "text", or both.

        Raises:
            ValueError: If there is no such encoder.
        """
        unknown = [name for name in encoders if name not in ENCODER_PARTS]
        if unknown:
            raise ValueError(f"There is no encoder {unknown[0]!r} to freeze: choose {' or '.join(ENCODER_PARTS)}.")
        prefixes = tuple(f"{part}." for name in encoders for part in ENCODER_PARTS[name])
        new = self.new_parameter_names()  # some lie inside the encoders
        for name, parameter in self.named_parameters():
            if name.startswith(prefixes) and name not in new:
                parameter.requires_grad_(False)

    def clip_state_dict(self) -> dict[str, Tensor]:
        """Read the original weights of the CLIP that the model was made from, on the CPU, under this model's names.

        Raises:
            ValueError: If the model does not know its CLIP, another one is there now, or it is ensembled already.
            OSError: If that CLIP is gone.
        """
        if self.config.ensemble_weight is not None:
            raise ValueError(
                f"This model is ensembled already (w = {self.config.ensemble_weight:g}): give --ensembling.weights "
                "[1.0] to use it as it is."
            )
        if self.config.clip_name_or_path is None:
            raise ValueError("This model does not know the CLIP it was made from: set `config.clip_name_or_path`.")
        weights = load_clip(self.config.clip_name_or_path).state_dict()
        check_same_clip(self.config, weights)
        return self.adapt_clip_weights(weights)

    @classmethod
    def from_pretrained(cls, name_or_path: str | os.PathLike, **overrides: Any) -> Self:
        """Load a plain CLIP or a saved model of this system, in evaluation mode.

        Args:
            name_or_path: A folder in Hugging Face's format, a name on its hub, or "world", the CLIP of the generated
                world that comes with this package.
            **overrides: Options of the configuration, such as ``num_frames=8``.

        Raises:
            OSError: If there is no such folder or name, or the hub cannot be reached.
            ValueError: If a weight is missing, left over or of another shape, or there is no such option or value.
        """
        source = str(name_or_path)
        stored, kind = read_config(source), cls.config_class.model_type
        if stored["model_type"] not in (kind, BackboneConfig.model_type):
            raise ValueError(other_system(source, stored["model_type"], kind))
        cls.config_class.check_options(overrides, cls.title)
        tokenizer = load_tokenizer(source)
        config = cls.build_config(stored, tokenizer, **overrides)
        if stored["model_type"] == kind:
            model = cls.load_saved(source, stored, config)
            model.freeze_fixed()  # transformers makes new parameters, which require gradients
        else:
            config.clip_name_or_path = recorded_name(source)
            clip = load_clip(source)
            config.clip_sha256 = hash_weights(clip.state_dict())
            model = cls.from_clip(clip, config)
        model.tokenizer = tokenizer
        return model.eval()

    @classmethod
    def load_saved(cls, source: str, stored: Mapping[str, Any], config: Any) -> Self:
        """Load the weights of a saved model of this system.

        Args:
            source: Its folder, or its name on the hub.
            stored: The configuration there.
            config: The one of `build_config`.
        """
        return load_checked(super().from_pretrained, source, config=config)

    @classmethod
    def from_clip(cls, clip: BackboneModel, config: Any) -> Self:
        """Build a model with the weights of a CLIP; `start_new_parameters` starts what CLIP does not have.

        Raises:
            ValueError: If the weights do not fit the configuration.
        """
        model = cls(config)
        missing, unexpected = model.load_state_dict(model.adapt_clip_weights(clip.state_dict()), strict=False)
        if wrong := sorted({*unexpected, *(set(missing) ^ model.new_parameter_names())}):
            raise ValueError(f"CLIP's weights do not fit the model: {', '.join(wrong[:5])}.")
        model.start_new_parameters()
        return model

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any) -> None:
        """Save configuration, weights and tokenizer in Hugging Face's format."""
        super().save_pretrained(save_directory, **kwargs)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(save_directory)
