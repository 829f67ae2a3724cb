"""The classes that a model scores videos against: their texts, and how long their encoding stays valid."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from tc_clip_pl.modules.backbone.interface import BackboneConfig, find_eos
from tc_clip_pl.modules.class_cache import ClassCache
from tc_clip_pl.modules.tokenizer import CLASS_TEXT, fill_text, tokenize_texts


class ClassTexts(nn.Module):
    """The half of a system that holds the classes; it precedes the backbone's model among the bases.

    Attributes:
        class_text: The text of a class, with {} in place of its name and {short} in place of what stands before the
            name's first colon; a tuple if a class has several texts.
        num_added_tokens: By how many tokens the model makes a text longer; may be negative.
        tokenizer: The tokenizer of the CLIP that the model was made from, or None.
        class_input_ids: (Y, L) token ids of the classes, or (S, Y, L) where a class has several texts; None before they
            are set.
        class_eos: Positions of EOS once the prompt vectors are in place, of the same shape without L, or None.
        encoded_texts: Token ids and positions of EOS that were encoded last: in training these may be some of all.
    """

    class_text: str | tuple[str, ...] = CLASS_TEXT
    num_added_tokens: int = 0

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__(config)
        self.register_buffer("class_input_ids", None, persistent=False)
        self.register_buffer("class_eos", None, persistent=False)
        self.encoded_texts: tuple[Tensor, Tensor] | None = None
        self.tokenizer: PreTrainedTokenizerBase | None = None
        self._class_cache = ClassCache()
        self.register_load_state_dict_post_hook(_clear_class_cache)

    @property
    def has_several_texts(self) -> bool:
        """Whether a class has several texts, S, which all tensors of texts then have as their first dimension."""
        return not isinstance(self.class_text, str)

    def set_class_names(self, class_names: Sequence[str]) -> None:
        """Set the classes by name; the position in the list is the label.

        Raises:
            ValueError: If the model has no tokenizer, the list is empty, or a name is too long for the text encoder.
        """
        self.set_class_tokens(self.tokenize_classes(class_names))

    def tokenize_classes(self, class_names: Sequence[str]) -> Tensor:
        """Return the (Y, L) token ids of the texts of classes; (S, Y, L) if a class has several.

        Raises:
            ValueError: If the model has no tokenizer, the list is empty, or a name is too long for the text encoder.
        """
        if not class_names:
            raise ValueError("The list of class names is empty: give at least one class.")
        texts = (self.class_text,) if isinstance(self.class_text, str) else self.class_text
        ids = self.tokenize([fill_text(text, name) for text in texts for name in class_names])
        return ids.unflatten(0, (len(texts), -1)) if self.has_several_texts else ids

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Return the (X, L) token ids of texts, padded after EOS.

        Raises:
            ValueError: If the model has no tokenizer, or a text is too long for the text encoder.
        """
        if self.tokenizer is None:
            raise ValueError(
                "This model has no tokenizer: set its `tokenizer`, or give token ids to `set_class_tokens`."
            )
        room = self.config.text_config.max_position_embeddings
        return tokenize_texts(self.tokenizer, texts, room, self.num_added_tokens)

    def set_class_tokens(self, input_ids: Tensor) -> None:
        """Set the classes by the token ids of "{prompt template} {class name}.".

        Args:
            input_ids: (Y, L) int64, or (S, Y, L) where a class has several texts, SOS first; what follows EOS is
                ignored.

        Raises:
            ValueError: If the shape is wrong, a row has no EOS token, or a text is too long for the text encoder.
        """
        shape = "(S, Y, L)" if self.has_several_texts else "(Y, L)"
        if input_ids.ndim != 2 + self.has_several_texts or 0 in input_ids.shape:
            raise ValueError(f"Class tokens are {shape} with at least one class, not {tuple(input_ids.shape)}.")
        eos = find_eos(input_ids, self.config.text_config.eos_token_id)
        length, added = int(eos.max()) + 1, self.num_added_tokens
        room = self.config.text_config.max_position_embeddings
        if length + added > room:
            raise ValueError(
                f"A class text of {length + added} tokens does not fit into the text encoder's {room}: shorten it."
            )
        self.class_input_ids = input_ids[..., :length].to(self.device)  # attention is causal: nothing reads beyond EOS
        self.class_eos = (eos + added).to(self.device)
        self.clear_class_cache()

    def set_blank_classes(self, num_classes: int, length: int | None = None) -> None:
        """Set classes of texts without words, to count or time the model.

        Args:
            num_classes: Y.
            length: Tokens of a text, prompt vectors included; the longest possible by default.
        """
        ids = self.blank_tokens(num_classes, length)
        self.set_class_tokens(ids.expand(len(self.class_text), -1, -1) if self.has_several_texts else ids)

    def blank_tokens(self, num_classes: int, length: int | None = None) -> Tensor:
        """Return the (Y, L) token ids of texts without words; arguments as in `set_blank_classes`."""
        text = self.config.text_config
        shape = num_classes, (length or text.max_position_embeddings) - self.num_added_tokens
        input_ids = torch.zeros(shape, dtype=torch.int64)
        # An eos_token_id of 2 is an old mistake in CLIP's configurations: EOS is then found as the highest token id.
        input_ids[:, -1] = text.vocab_size - 1 if text.eos_token_id == 2 else text.eos_token_id
        return input_ids

    def check_classes(self) -> None:
        """Raise a RuntimeError if no class names are set."""
        if self.class_input_ids is None:
            raise RuntimeError("No classes are set: call `set_class_names` or `set_class_tokens` first.")

    def encode_classes(self) -> Any:
        """Encode the classes as far as no video is needed; the result is kept in evaluation, or if the text is frozen.

        Raises:
            RuntimeError: If no class names are set.
        """
        self.check_classes()
        self.encoded_texts = self._choose_texts()
        learns = (self.training or torch.is_grad_enabled()) and self._text_learns()  # the weights are about to change
        if learns or self.encoded_texts[0] is not self.class_input_ids:
            self.clear_class_cache()
            return self._encode_classes()
        return self._class_cache.get(self.class_input_ids.device.type, self._encode_classes)

    def texts_of(self, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the (A, L) or (S, A, L) token ids of (A,) classes and their EOS, as `other_texts` takes them."""
        return self.class_input_ids[..., classes, :], self.class_eos[..., classes]

    @contextmanager
    def other_texts(self, input_ids: Tensor, eos: Tensor) -> Iterator[None]:
        """Score videos against other texts than the classes inside the context; the classes come back after it.

        Args:
            input_ids: (X, L) or (S, X, L), as `class_input_ids`.
            eos: (X,) or (S, X), as `class_eos`.
        """
        classes = self.class_input_ids, self.class_eos
        self.class_input_ids, self.class_eos = input_ids.to(self.device), eos.to(self.device)
        self.clear_class_cache()
        try:
            yield
        finally:
            self.class_input_ids, self.class_eos = classes
            self.clear_class_cache()

    def clear_class_cache(self) -> None:
        """Drop the encoding of the classes that evaluation keeps between batches.

        The model does so itself when weights are loaded, moved or cast, when classes are set, and between training and
        evaluation. Call it after any other change of the weights, such as a write through ``.data``.
        """
        self._class_cache.clear()

    def separate_class_cache(self, weights: Hashable) -> AbstractContextManager[None]:
        """Return a context that keeps its encodings of the classes apart, for calls with other weights.

        Enter it around `torch.func.functional_call`, which the cache cannot see. All that clears the cache clears these
        encodings too.

        Args:
            weights: Name of the other weights; the same name must always mean the same weights.
        """
        return self._class_cache.separate(weights)

    def _encode_classes(self) -> Any:
        """Encode `encoded_texts`."""
        raise NotImplementedError

    def _choose_texts(self) -> tuple[Tensor, Tensor]:
        return self.class_input_ids, self.class_eos

    def _text_learns(self) -> bool:
        """Return whether training changes the encoding of the classes."""
        return any(parameter.requires_grad for parameter in self._text_parameters())

    def _text_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that the encoding of the classes reads; by default all."""
        return list(self.parameters())

    def train(self, mode: bool = True) -> "ClassTexts":
        """Set training or evaluation mode; an optimizer may have stepped since the last one."""
        self.clear_class_cache()
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "ClassTexts":
        """Convert all tensors, as `to`, `half`, `cuda` and their like do."""
        self.clear_class_cache()
        return super()._apply(fn, recurse)


def _clear_class_cache(model: ClassTexts, incompatible_keys: object) -> None:
    # A hook rather than an override of `load_state_dict`: it also runs where FSDP loads through its own wrapper.
    model.clear_class_cache()
