"""Class names to token ids."""

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
    tokenizer: PreTrainedTokenizerBase, class_names: Sequence[str], text: str, room: int, num_added: int = 0
) -> Tensor:
    """Tokenize the text of every class, such as "a photo of a {class name}.".

    Args:
        tokenizer: The tokenizer of the backbone.
        class_names: Y names.
        text: Text of a class, with {} in place of its name.
        room: Tokens that the text encoder takes.
        num_added: By how many tokens the model makes a text longer.

    Returns:
        (Y, L) token ids, padded to the longest text. Attention is causal, so padding after EOS changes nothing, and
        there is no need to pad to the full length of the text encoder.

    Raises:
        ValueError: If the list is empty or a name is too long for the text encoder.
    """
    if not class_names:
        raise ValueError("The list of class names is empty: give at least one class.")
    ids = tokenizer([text.format(name) for name in class_names])["input_ids"]
    for name, row in zip(class_names, ids, strict=True):
        if len(row) + num_added > room:
            raise ValueError(
                f"The class name {name!r} needs {len(row) + num_added} tokens with its prompt, and the "
                f"text encoder takes {room}: shorten it."
            )
    rows = [torch.tensor(row) for row in ids]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=0)
