"""Class names and other texts to token ids."""

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


def tokenize_class_names(
    tokenizer: PreTrainedTokenizerBase,
    class_names: Sequence[str],
    text: str | tuple[str, ...],
    room: int,
    num_added: int = 0,
) -> Tensor:
    """Tokenize the text of every class, such as "a photo of a {class name}.".

    Args:
        tokenizer: The tokenizer of the backbone.
        class_names: Y names.
        text: Text of a class, with {} in place of its name, and {short} in place of what stands before the name's first
            colon; or several such texts.
        room: Tokens that the text encoder takes.
        num_added: By how many tokens the model makes a text longer.

    Returns:
        (Y, L) token ids, as from `tokenize_texts`; (S, Y, L) if there are several texts.

    Raises:
        ValueError: If the list is empty or a name is too long for the text encoder.
    """
    if not class_names:
        raise ValueError("The list of class names is empty: give at least one class.")
    texts = (text,) if isinstance(text, str) else text
    filled = [each.format(name, short=name.partition(":")[0]) for each in texts for name in class_names]
    ids = tokenize_texts(tokenizer, filled, room, num_added)
    return ids if isinstance(text, str) else ids.unflatten(0, (len(texts), -1))


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
