"""Texts to token ids."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

PROMPT_TEMPLATE = "a photo of a"
CLASS_TEXT = f"{PROMPT_TEMPLATE} {{}}."
"""Text of a class, for every system and prompting that has no `class_text` of its own."""


def tokenize_template(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the token ids of "a photo of a", without SOS and EOS."""
    return tokenizer(PROMPT_TEMPLATE, add_special_tokens=False)["input_ids"]


def fill_text(text: str, class_name: str) -> str:
    """Put a class name in place of {}, and what stands before its first colon in place of {short}."""
    # Not `format`: other braces in a text stand for themselves.
    return text.replace("{short}", class_name.partition(":")[0]).replace("{}", class_name)


def tokenize_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], room: int, num_added: int = 0) -> Tensor:
    """Tokenize texts.

    Args:
        tokenizer: The tokenizer of the backbone.
        texts: Y texts, at least one.
        room: Tokens that the text encoder takes.
        num_added: By how many tokens the model makes a text longer.

    Returns:
        (Y, L) token ids, padded to the longest text. Attention is causal, so padding after EOS changes nothing, and
        there is no need to pad to the full length of the text encoder.

    Raises:
        ValueError: If a text is too long for the text encoder.
    """
    ids = tokenizer(list(texts))["input_ids"]
    for text, row in zip(texts, ids, strict=True):
        if len(row) + num_added > room:
            raise ValueError(
                f"The text {text!r} needs {len(row) + num_added} tokens, and the text encoder takes {room}: shorten it."
            )
    rows = [torch.tensor(row) for row in ids]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=0)
